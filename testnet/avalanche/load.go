// Open-loop load on the example VM: each transfer has its time to be sent, and latency counts from that time. The example VM has
// no gossip, so each transfer is given to every node; it takes at most 10 into a block.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"math"
	"net/http"
	"sort"
	"sync/atomic"
	"time"

	"github.com/ava-labs/avalanchego/ids"
	"github.com/ava-labs/avalanchego/utils/crypto/secp256k1"
	"github.com/ava-labs/avalanchego/vms/example/xsvm/api"
	"github.com/ava-labs/avalanchego/vms/example/xsvm/block"
	"github.com/ava-labs/avalanchego/vms/example/xsvm/tx"
)

const (
	// Accounts that send in turn, as many as our own bench has.
	senderCount = 200
	// Time between two looks at the last accepted block.
	look = 5 * time.Millisecond
	// How long nothing may be accepted before what is left counts as lost.
	patience = 15 * time.Second
	// How long after the load transfers may be accepted.
	drain = 20 * time.Second
)

// senders are the keys of the accounts that send, the same every time.
func senders() ([]*secp256k1.PrivateKey, error) {
	keys := make([]*secp256k1.PrivateKey, senderCount)
	for i := range keys {
		var secret [secp256k1.PrivateKeyLen]byte
		binary.BigEndian.PutUint32(secret[:], uint32(i+1))
		key, err := secp256k1.ToPrivateKey(secret[:])
		if err != nil {
			return nil, err
		}
		keys[i] = key
	}
	return keys, nil
}

// One transfer that is to be sent.
type offered struct {
	id     ids.ID
	signed *tx.Tx
	due    time.Duration
	// How many nodes took it.
	taken atomic.Int32
}

func xsvmLoad(ctx context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	rate := flags.Int("rate", 100, "transfers per second that are offered")
	seconds := flags.Int("seconds", 20, "how long")
	net, nodes, err := opened(flags, arguments)
	if err != nil {
		return nil, err
	}
	if *rate < 1 || *seconds < 1 {
		return nil, errors.New("--rate and --seconds are at least 1")
	}
	if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, senderCount
	}
	clients := make([]*api.Client, len(nodes))
	for i, node := range nodes {
		clients[i] = api.NewClient(node.URI, net.Chain.String())
	}
	lanes, err := sign(ctx, clients[0], net.Chain, *rate, *seconds)
	if err != nil {
		return nil, err
	}
	_, newest, err := clients[0].LastAccepted(ctx)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	begun := time.Now()
	for _, client := range clients {
		for _, lane := range lanes {
			go send(ctx, client, lane, begun)
		}
	}
	latencies, last, blocks, err := watch(ctx, clients[0], lanes, newest.Height, begun)
	if err != nil {
		return nil, err
	}
	refused := 0
	for _, lane := range lanes {
		for _, one := range lane {
			if one.taken.Load() == 0 {
				refused++
			}
		}
	}
	sort.Float64s(latencies)
	accepted := len(latencies)
	answer := map[string]any{
		"system": "xsvm", "nodes": len(nodes), "rate": *rate, "offered": *rate * *seconds, "accepted": accepted, "refused": refused, "blocks": blocks,
	}
	if accepted > 0 {
		answer["per_second"] = math.Round(float64(accepted)/last.Sub(begun).Seconds()*10) / 10
		answer["p50_ms"], answer["p99_ms"] = math.Round(latencies[accepted/2]), math.Round(latencies[accepted*99/100])
	}
	return answer, nil
}

// sign makes the transfers of every account, which go in order from its next nonce on.
func sign(ctx context.Context, client *api.Client, chain ids.ID, rate, seconds int) ([][]*offered, error) {
	keys, err := senders()
	if err != nil {
		return nil, err
	}
	lanes, first := make([][]*offered, len(keys)), make([]uint64, len(keys))
	for lane, key := range keys {
		if first[lane], err = client.Nonce(ctx, key.Address()); err != nil {
			return nil, err
		}
	}
	for i := range rate * seconds {
		lane := i % len(keys)
		signed, err := tx.Sign(&tx.Transfer{
			ChainID: chain,
			Nonce:   first[lane] + uint64(i/len(keys)),
			AssetID: chain,
			Amount:  1,
			To:      ids.ShortID{1},
		}, keys[lane])
		if err != nil {
			return nil, err
		}
		id, err := signed.ID()
		if err != nil {
			return nil, err
		}
		due := time.Duration(i) * time.Second / time.Duration(rate)
		lanes[lane] = append(lanes[lane], &offered{id: id, signed: signed, due: due})
	}
	return lanes, nil
}

// send gives a node the transfers of one account, each at its time.
func send(ctx context.Context, client *api.Client, lane []*offered, begun time.Time) {
	for _, one := range lane {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(begun.Add(one.due))):
		}
		if _, err := client.IssueTx(ctx, one.signed); err == nil {
			one.taken.Add(1)
		}
	}
}

// watch reads the accepted blocks above a height until everything is accepted, nothing more comes or the time to drain is
// over; it gives the latencies in milliseconds, the time of the last block with a transfer, and the number of blocks.
func watch(ctx context.Context, client *api.Client, lanes [][]*offered, above uint64, begun time.Time) ([]float64, time.Time, uint64, error) {
	due := map[ids.ID]time.Duration{}
	var end time.Duration
	for _, lane := range lanes {
		for _, one := range lane {
			due[one.id] = one.due
			end = max(end, one.due)
		}
	}
	latencies, last, first := []float64{}, begun, above
	for len(due) > 0 && time.Since(begun) < end+drain && time.Since(later(begun.Add(end), last)) < patience {
		_, newest, err := client.LastAccepted(ctx)
		if err != nil {
			return nil, last, 0, err
		}
		at := time.Now()
		for block := newest; block.Height > above; {
			for _, accepted := range block.Txs {
				id, err := accepted.ID()
				if err != nil {
					return nil, last, 0, err
				}
				if when, ok := due[id]; ok {
					delete(due, id)
					last = at
					latencies = append(latencies, float64(at.Sub(begun.Add(when)).Microseconds())/1000)
				}
			}
			if block.Height == above+1 {
				break
			}
			if block, err = blockOf(ctx, client, block.ParentID); err != nil {
				return nil, last, 0, err
			}
		}
		above = newest.Height
		if err := pauseFor(ctx, look); err != nil {
			return nil, last, 0, err
		}
	}
	return latencies, last, above - first, nil
}

// blockOf is a block of the example VM. The client's own method for it asks for the last accepted one whatever it is given.
func blockOf(ctx context.Context, client *api.Client, id ids.ID) (*block.Stateless, error) {
	reply := &api.BlockReply{}
	if err := client.Req.SendRequest(ctx, "xsvm.block", &api.BlockArgs{BlockID: id}, reply); err != nil {
		return nil, err
	}
	return block.Parse(reply.BlockBytes)
}

func later(one, other time.Time) time.Time {
	if one.After(other) {
		return one
	}
	return other
}
