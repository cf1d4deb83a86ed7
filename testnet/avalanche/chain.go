// The subnet and its chain, by the P-chain's public wallet.
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/ava-labs/avalanchego/api/health"
	"github.com/ava-labs/avalanchego/api/info"
	"github.com/ava-labs/avalanchego/genesis"
	"github.com/ava-labs/avalanchego/ids"
	"github.com/ava-labs/avalanchego/utils/crypto/bls"
	"github.com/ava-labs/avalanchego/utils/units"
	"github.com/ava-labs/avalanchego/vms/platformvm"
	"github.com/ava-labs/avalanchego/vms/platformvm/api"
	"github.com/ava-labs/avalanchego/vms/platformvm/txs"
	"github.com/ava-labs/avalanchego/vms/platformvm/warp/message"
	"github.com/ava-labs/avalanchego/vms/secp256k1fx"
	"github.com/ava-labs/avalanchego/wallet/chain/p/signer"
	"github.com/ava-labs/avalanchego/wallet/chain/p/wallet"
	"github.com/ava-labs/avalanchego/wallet/subnet/primary"
	"github.com/ava-labs/avalanchego/wallet/subnet/primary/common"
)

// How long a subnet's validator stays one: longer than any test, shorter than the nodes' own stake.
const validation = 48 * time.Hour

// purse is a wallet of the local network's rich key that knows the subnet, if there is one.
func (n *network) purse(ctx context.Context, uri string) (wallet.Wallet, error) {
	config := primary.WalletConfig{}
	if n.Subnet != ids.Empty {
		config.SubnetIDs = []ids.ID{n.Subnet}
	}
	return primary.MakePWallet(ctx, uri, secp256k1fx.NewKeychain(genesis.EWOQKey), config)
}

// createSubnet makes a subnet whose validators are those of the nodes that are validators.
func (n *network) createSubnet(ctx context.Context, uri string) error {
	purse, err := n.purse(ctx, uri)
	if err != nil {
		return err
	}
	owner := &secp256k1fx.OutputOwners{Threshold: 1, Addrs: []ids.ShortID{genesis.EWOQKey.Address()}}
	created, err := purse.IssueCreateSubnetTx(owner, common.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("create the subnet: %w", err)
	}
	n.Subnet = created.ID()
	if n.SybilProtectionOff {
		return n.save()
	}
	// One that knows the subnet's owner.
	if purse, err = n.purse(ctx, uri); err != nil {
		return err
	}
	for _, node := range n.Nodes {
		if !node.Validator {
			continue
		}
		_, err := purse.IssueAddSubnetValidatorTx(&txs.SubnetValidator{
			Validator: txs.Validator{
				NodeID: node.ID,
				End:    uint64(time.Now().Add(validation).Unix()),
				Wght:   units.Schmeckle,
			},
			Subnet: n.Subnet,
		}, common.WithContext(ctx))
		if err != nil {
			return fmt.Errorf("add %s to the subnet: %w", node.ID, err)
		}
	}
	return n.save()
}

// createChain makes the chain. Its id follows from the signed transaction, so each node's keys for the VM lie where the VM
// looks for them before the chain exists: in the chain's data directory.
func (n *network) createChain(ctx context.Context, uri string, bytes []byte) error {
	purse, err := n.purse(ctx, uri)
	if err != nil {
		return err
	}
	unsigned, err := purse.Builder().NewCreateChainTx(n.Subnet, bytes, n.VM, nil, "gridproof", common.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("build the chain's transaction: %w", err)
	}
	signed, err := signer.SignUnsigned(ctx, purse.Signer(), unsigned)
	if err != nil {
		return fmt.Errorf("sign the chain's transaction: %w", err)
	}
	n.Chain = signed.ID()
	for _, node := range n.Nodes {
		if err := node.placeKeys(); err != nil {
			return err
		}
		if err := node.placeConfig(); err != nil {
			return err
		}
	}
	if err := purse.IssueTx(signed, common.WithContext(ctx)); err != nil {
		return fmt.Errorf("create the chain: %w", err)
	}
	return n.save()
}

// bootstrapped waits until the nodes' chain of that id or name takes requests.
func bootstrapped(ctx context.Context, nodes []*node, chain string) error {
	for _, node := range nodes {
		client := info.NewClient(node.URI)
		for {
			// An error says that the node does not know the chain yet.
			if done, err := client.IsBootstrapped(ctx, chain); err == nil && done {
				break
			}
			if !node.running() {
				return fmt.Errorf("node %s has ended, see %s", node.ID, node.Dir)
			}
			if err := pause(ctx); err != nil {
				return fmt.Errorf("%s did not bootstrap on %s, see %s/logs: %w", chain, node.ID, node.Dir, err)
			}
		}
	}
	return nil
}

// healthy waits until the nodes call themselves healthy.
func healthy(ctx context.Context, nodes []*node) error {
	for _, node := range nodes {
		client := health.NewClient(node.URI)
		for {
			if reply, err := client.Health(ctx, nil); err == nil && reply.Healthy {
				break
			}
			if err := pause(ctx); err != nil {
				return fmt.Errorf("%s is not healthy, see %s/logs: %w", node.ID, node.Dir, err)
			}
		}
	}
	return nil
}

func pause(ctx context.Context) error {
	return pauseFor(ctx, poll)
}

func pauseFor(ctx context.Context, length time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(length):
		return nil
	}
}

// convertToL1 removes the subnet's validators, which must not be there any more, and names them anew as the L1's.
func (n *network) convertToL1(ctx context.Context, uri string) error {
	purse, err := n.purse(ctx, uri)
	if err != nil {
		return err
	}
	var anew []*txs.ConvertSubnetToL1Validator
	for _, node := range n.Nodes {
		if !node.Validator {
			continue
		}
		if _, err := purse.IssueRemoveSubnetValidatorTx(node.ID, n.Subnet, common.WithContext(ctx)); err != nil {
			return fmt.Errorf("remove %s from the subnet: %w", node.ID, err)
		}
		_, proof, err := info.NewClient(node.URI).GetNodeID(ctx)
		if err != nil {
			return err
		}
		anew = append(anew, &txs.ConvertSubnetToL1Validator{
			NodeID:                node.ID.Bytes(),
			Weight:                units.Schmeckle,
			Balance:               units.Avax,
			Signer:                *proof,
			RemainingBalanceOwner: message.PChainOwner{},
			DeactivationOwner:     message.PChainOwner{},
		})
	}
	if _, err := purse.IssueConvertSubnetToL1Tx(n.Subnet, n.Chain, nil, anew, common.WithContext(ctx)); err != nil {
		return fmt.Errorf("convert the subnet: %w", err)
	}
	n.L1 = true
	return n.save()
}

// validatorSet is the subnet's at the newest height of the P-chain.
func (n *network) validatorSet(ctx context.Context, uri string) (any, error) {
	client := platformvm.NewClient(uri)
	height, err := client.GetHeight(ctx)
	if err != nil {
		return nil, err
	}
	set, err := client.GetValidatorsAt(ctx, n.Subnet, api.Height(height))
	if err != nil {
		return nil, err
	}
	shown := []map[string]any{}
	for id, validator := range set {
		key := ""
		if validator.PublicKey != nil {
			key = hex.EncodeToString(bls.PublicKeyToCompressedBytes(validator.PublicKey))
		}
		shown = append(shown, map[string]any{"node": id, "weight": validator.Weight, "bls_public_key": key})
	}
	return map[string]any{"height": height, "validators": shown}, nil
}
