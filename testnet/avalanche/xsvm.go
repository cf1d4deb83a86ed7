// AvalancheGo's example VM: proves the harness without ours, and is what ours is measured beside.
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"sort"
	"time"

	"github.com/ava-labs/avalanchego/genesis"
	"github.com/ava-labs/avalanchego/ids"
	"github.com/ava-labs/avalanchego/vms/example/xsvm/api"
	"github.com/ava-labs/avalanchego/vms/example/xsvm/tx"

	xsvm "github.com/ava-labs/avalanchego/vms/example/xsvm/genesis"
)

func xsvmGenesis(_ context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	out := flags.String("out", "", "the file to write")
	_ = flags.Parse(arguments)
	made := &xsvm.Genesis{
		Timestamp:   time.Now().Unix(),
		Allocations: []xsvm.Allocation{{Address: genesis.EWOQKey.Address(), Balance: math.MaxUint64 / 2}},
	}
	keys, err := senders()
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		made.Allocations = append(made.Allocations, xsvm.Allocation{Address: key.Address(), Balance: math.MaxUint32})
	}
	bytes, err := xsvm.Codec.Marshal(xsvm.CodecVersion, made)
	if err != nil {
		return nil, err
	}
	return map[string]any{"bytes": len(bytes)}, os.WriteFile(*out, bytes, 0o600)
}

// xsvmTransfer sends transfers one after the other, and waits for each to be accepted.
func xsvmTransfer(ctx context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	count := flags.Int("count", 1, "how many transfers")
	net, nodes, err := opened(flags, arguments)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	key := genesis.EWOQKey
	client := api.NewClient(nodes[0].URI, net.Chain.String())
	nonce, err := client.Nonce(ctx, key.Address())
	if err != nil {
		return nil, err
	}
	took := make([]float64, 0, *count)
	for range *count {
		signed, err := tx.Sign(&tx.Transfer{
			ChainID: net.Chain,
			Nonce:   nonce,
			AssetID: net.Chain,
			Amount:  1,
			To:      ids.ShortID{1},
		}, key)
		if err != nil {
			return nil, err
		}
		begun := time.Now()
		if _, err := client.IssueTx(ctx, signed); err != nil {
			return nil, err
		}
		if err := api.AwaitTxAccepted(ctx, client, key.Address(), nonce, time.Millisecond); err != nil {
			return nil, fmt.Errorf("transfer %d: %w", nonce, err)
		}
		took = append(took, float64(time.Since(begun).Microseconds())/1000)
		nonce++
	}
	sort.Float64s(took)
	_, last, err := client.LastAccepted(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]any{"accepted": *count, "median_ms": took[len(took)/2], "slowest_ms": took[len(took)-1], "last_timestamp": last.Timestamp}, nil
}
