// Warp messages about the chain's state: AvalancheGo's own code signs, aggregates and verifies what the plugin and its clients
// make, and asks real nodes for signatures as any peer may.
package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/ava-labs/avalanchego/ids"
	"github.com/ava-labs/avalanchego/network/p2p"
	"github.com/ava-labs/avalanchego/network/peer"
	"github.com/ava-labs/avalanchego/proto/pb/sdk"
	"github.com/ava-labs/avalanchego/snow/networking/router"
	"github.com/ava-labs/avalanchego/utils/compression"
	"github.com/ava-labs/avalanchego/utils/crypto/bls"
	"github.com/ava-labs/avalanchego/utils/crypto/bls/signer/localsigner"
	"github.com/ava-labs/avalanchego/utils/set"
	"github.com/ava-labs/avalanchego/vms/platformvm"
	"github.com/ava-labs/avalanchego/vms/platformvm/api"
	"github.com/ava-labs/avalanchego/vms/platformvm/warp"
	"github.com/ava-labs/avalanchego/vms/platformvm/warp/payload"

	p2pmessage "github.com/ava-labs/avalanchego/message"
	p2ppb "github.com/ava-labs/avalanchego/proto/pb/p2p"
	subnet "github.com/ava-labs/avalanchego/snow/validators"
)

// The part of a validator set's weight that must sign, in percent.
const quorumPercent = 67

// How long a node may take to answer a peer.
const answerTimeout = 15 * time.Second

// stateClaim is the message that validators sign: the state after a height has this root.
func stateClaim(network uint32, chain ids.ID, height uint64, root ids.ID) (*warp.UnsignedMessage, error) {
	content := binary.BigEndian.AppendUint16(nil, 0)
	content = binary.BigEndian.AppendUint32(content, 0)
	content = binary.BigEndian.AppendUint64(content, height)
	call, err := payload.NewAddressedCall(nil, append(content, root[:]...))
	if err != nil {
		return nil, err
	}
	return warp.NewUnsignedMessage(network, chain, call.Bytes())
}

// warpVectors prints messages, signatures and verdicts of AvalancheGo's own code, for the tests of crate warp.
func warpVectors(_ context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	_ = flags.Parse(arguments)
	chain, root := ids.ID{1, 2, 3}, ids.ID{4, 5, 6}
	const network = 88877
	message, err := stateClaim(network, chain, 1<<40+7, root)
	if err != nil {
		return nil, err
	}
	// Ten nodes: the weights differ, the last two share a key, one has none.
	nodes := map[ids.NodeID]*subnet.GetValidatorOutput{}
	shown, signatures := []map[string]any{}, map[ids.NodeID]*bls.Signature{}
	for i := range 10 {
		secret := make([]byte, 32)
		secret[len(secret)-1] = byte(min(i, 8) + 1)
		key, err := localsigner.FromBytes(secret)
		if err != nil {
			return nil, err
		}
		id, weight := ids.NodeID{byte(200 - i)}, uint64(100+i)
		signature, err := key.Sign(message.Bytes())
		if err != nil {
			return nil, err
		}
		node := map[string]any{"id": id, "weight": weight, "key": nil, "signature": hex.EncodeToString(bls.SignatureToBytes(signature))}
		nodes[id] = &subnet.GetValidatorOutput{NodeID: id, Weight: weight}
		if i != 4 {
			nodes[id].PublicKey, signatures[id] = key.PublicKey(), signature
			node["key"] = hex.EncodeToString(bls.PublicKeyToCompressedBytes(key.PublicKey()))
		}
		shown = append(shown, node)
	}
	canonical, err := subnet.FlattenValidatorSet(nodes)
	if err != nil {
		return nil, err
	}
	verdicts := []map[string]any{}
	for _, signers := range [][]int{{0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4}, {2, 3, 4, 5, 6, 7}, {7}, {}} {
		signed, err := signedBy(message, canonical, signers, signatures)
		if err != nil {
			return nil, err
		}
		verdict := signed.Signature.Verify(message, network, canonical, quorumPercent, 100)
		verdicts = append(verdicts, map[string]any{"signers": signers, "message": hex.EncodeToString(signed.Bytes()), "valid": verdict == nil})
	}
	return map[string]any{
		"network": network, "chain": chain, "chain_bytes": hex.EncodeToString(chain[:]), "height": uint64(1<<40 + 7), "root": hex.EncodeToString(root[:]),
		"unsigned": hex.EncodeToString(message.Bytes()), "nodes": shown, "total": canonical.TotalWeight, "messages": verdicts,
	}, nil
}

// signedBy is a message with the aggregate of the validators at these places of the canonical order.
func signedBy(message *warp.UnsignedMessage, canonical subnet.WarpSet, signers []int, signatures map[ids.NodeID]*bls.Signature) (*warp.Message, error) {
	bits, parts := set.NewBits(signers...), []*bls.Signature{}
	for _, at := range signers {
		parts = append(parts, signatures[canonical.Validators[at].NodeIDs[0]])
	}
	signature := &warp.BitSetSignature{Signers: bits.Bytes()}
	if len(parts) > 0 {
		aggregate, err := bls.AggregateSignatures(parts)
		if err != nil {
			return nil, err
		}
		copy(signature.Signature[:], bls.SignatureToBytes(aggregate))
	}
	return warp.NewMessage(message, signature)
}

// openedWith is opened, and the bytes of an option in hexadecimal digits.
func openedWith(flags *flag.FlagSet, arguments []string, text *string) (*network, []*node, []byte, error) {
	net, nodes, err := opened(flags, arguments)
	if err != nil {
		return nil, nil, nil, err
	}
	bytes, err := hex.DecodeString(*text)
	return net, nodes, bytes, err
}

// warpVerify verifies a signed message as a chain that it is sent to does, against the subnet's validators now.
func warpVerify(ctx context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	text := flags.String("message", "", "the signed message in hexadecimal digits")
	net, nodes, bytes, err := openedWith(flags, arguments, text)
	if err != nil {
		return nil, err
	}
	message, err := warp.ParseMessage(bytes)
	if err != nil {
		return nil, err
	}
	client := platformvm.NewClient(nodes[0].URI)
	height, err := client.GetHeight(ctx)
	if err != nil {
		return nil, err
	}
	found, err := client.GetValidatorsAt(ctx, net.Subnet, api.Height(height))
	if err != nil {
		return nil, err
	}
	canonical, err := subnet.FlattenValidatorSet(found)
	if err != nil {
		return nil, err
	}
	network, err := nodes[0].networkID(ctx)
	if err != nil {
		return nil, err
	}
	signers, err := message.Signature.NumSigners()
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"source_chain": message.SourceChainID, "signers": signers, "valid": true}
	if err := message.Signature.Verify(&message.UnsignedMessage, network, canonical, quorumPercent, 100); err != nil {
		answer["valid"], answer["error"] = false, err.Error()
	}
	return answer, nil
}

// warpSign asks nodes, as a peer that is no validator, to sign a claim about the state.
func warpSign(ctx context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	height := flags.Uint64("height", 0, "the height of the claim")
	text := flags.String("root", "", "the state root of the claim, in hexadecimal digits")
	net, nodes, bytes, err := openedWith(flags, arguments, text)
	if err != nil {
		return nil, err
	}
	root, err := ids.ToID(bytes)
	if err != nil {
		return nil, err
	}
	answers := []map[string]any{}
	for _, node := range nodes {
		if !node.running() {
			continue
		}
		network, err := node.networkID(ctx)
		if err != nil {
			return nil, err
		}
		claim, err := stateClaim(network, net.Chain, *height, root)
		if err != nil {
			return nil, err
		}
		signature, err := node.askSignature(ctx, network, net.Chain, claim)
		answer := map[string]any{"node": node.ID, "signature": hex.EncodeToString(signature)}
		if err != nil {
			answer["error"] = err.Error()
		}
		answers = append(answers, answer)
	}
	return map[string]any{"answers": answers}, nil
}

// askSignature sends one ACP-118 request over the nodes' own protocol, and gives the signature or the node's refusal.
func (n *node) askSignature(ctx context.Context, network uint32, chain ids.ID, claim *warp.UnsignedMessage) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	address, err := netip.ParseAddrPort(n.Staking)
	if err != nil {
		return nil, err
	}
	inbound := make(chan *p2pmessage.InboundMessage, 64)
	handle := router.InboundHandlerFunc(func(_ context.Context, message *p2pmessage.InboundMessage) {
		select {
		case inbound <- message:
		default:
		}
	})
	remote, err := peer.StartTestPeer(ctx, address, network, handle)
	if err != nil {
		return nil, err
	}
	defer func() {
		remote.StartClose()
		_ = remote.AwaitClosed(context.WithoutCancel(ctx))
	}()
	creator, err := p2pmessage.NewCreator(prometheus.NewRegistry(), compression.TypeZstd, time.Hour)
	if err != nil {
		return nil, err
	}
	body, err := proto.Marshal(&sdk.SignatureRequest{Message: claim.Bytes()})
	if err != nil {
		return nil, err
	}
	request, err := creator.AppRequest(chain, 1, answerTimeout, p2p.PrefixMessage(p2p.ProtocolPrefix(p2p.SignatureRequestHandlerID), body))
	if err != nil {
		return nil, err
	}
	if !remote.Send(ctx, request) {
		return nil, errors.New("the request was not sent")
	}
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no answer: %w", ctx.Err())
		case message := <-inbound:
			switch answer := message.Message.(type) {
			case *p2ppb.AppResponse:
				response := &sdk.SignatureResponse{}
				if err := proto.Unmarshal(answer.AppBytes, response); err != nil {
					return nil, err
				}
				return response.Signature, nil
			case *p2ppb.AppError:
				return nil, fmt.Errorf("refused with code %d: %s", answer.ErrorCode, answer.ErrorMessage)
			}
		}
	}
}
