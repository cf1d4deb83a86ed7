// The genesis of a network of several nodes: AvalancheGo's local one, with our nodes as its validators.
package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/ava-labs/avalanchego/genesis"
	"github.com/ava-labs/avalanchego/vms/platformvm/reward"
	"github.com/ava-labs/avalanchego/vms/platformvm/signer"
)

// writeGenesis makes the network's genesis file for the nodes that there are. The key that has money is the local network's
// (genesis.EWOQKey).
func (n *network) writeGenesis(proofs []*signer.ProofOfPossession) error {
	config := genesis.LocalConfig
	config.NetworkID = customNetworkID
	config.StartTime = uint64(time.Now().Add(-time.Minute).Unix())
	rewards := genesis.EWOQKey.Address()
	config.InitialStakers = nil
	for i, node := range n.Nodes {
		config.InitialStakers = append(config.InitialStakers, genesis.Staker{
			NodeID:        node.ID,
			RewardAddress: rewards,
			DelegationFee: reward.PercentDenominator,
			Signer:        proofs[i],
		})
	}
	shown, err := config.Unparse()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(shown, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(n.dir, "network-genesis.json"), text, 0o600)
}
