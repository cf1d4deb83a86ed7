// A network on disk: DIR/network.json, and the folder of every node below DIR.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ava-labs/avalanchego/ids"
)

// The network id of several nodes with a genesis of their own; one node uses AvalancheGo's local network.
const customNetworkID = 88877

// A network that `up` made.
type network struct {
	dir string
	// The configuration of the chain that new nodes get, while the network is made.
	config string
	// Path of the node's binary.
	Avalanchego string `json:"avalanchego"`
	// The folder that holds the VM's binary under its id.
	PluginDir string `json:"plugin_dir"`
	// "local", or the number of a network with a genesis file.
	NetworkID string `json:"network_id"`
	// True if every node is a validator of everything by itself.
	SybilProtectionOff bool `json:"sybil_protection_off"`
	// More flags for every node, as they are given.
	Flags  []string `json:"flags"`
	Subnet ids.ID   `json:"subnet"`
	Chain  ids.ID   `json:"chain"`
	VM     ids.ID   `json:"vm"`
	// True once the subnet is an L1.
	L1    bool    `json:"l1"`
	Nodes []*node `json:"nodes"`
}

func open(dir string) (*network, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "network.json"))
	if err != nil {
		return nil, fmt.Errorf("no network below %s: %w", dir, err)
	}
	net := &network{dir: dir}
	if err := json.Unmarshal(text, net); err != nil {
		return nil, fmt.Errorf("%s/network.json is damaged: %w", dir, err)
	}
	for _, node := range net.Nodes {
		node.net = net
	}
	return net, nil
}

// save writes the file whole or not at all.
func (n *network) save() error {
	text, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(n.dir, "network.json")
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// chosen gives the nodes that --node names: one by its number, or all.
func (n *network) chosen(which string) ([]*node, error) {
	if which == "all" {
		return n.Nodes, nil
	}
	nodes := []*node{}
	for _, number := range strings.Split(which, ",") {
		index, err := strconv.Atoi(number)
		if err != nil || index < 0 || index >= len(n.Nodes) {
			return nil, fmt.Errorf("--node takes 0 to %d, several with commas between them, or all, not %q", len(n.Nodes)-1, which)
		}
		nodes = append(nodes, n.Nodes[index])
	}
	return nodes, nil
}

// anyRunning gives a node that answers.
func (n *network) anyRunning() (*node, error) {
	for _, node := range n.Nodes {
		if node.running() {
			return node, nil
		}
	}
	return nil, errors.New("no node runs")
}

// What `up`, `start`, `add` and `convert` print.
func (n *network) answer() map[string]any {
	urls := make([]string, len(n.Nodes))
	for i, node := range n.Nodes {
		urls[i] = node.chainURL()
	}
	return map[string]any{
		"subnet": n.Subnet,
		"chain":  n.Chain,
		"vm":     n.VM,
		"l1":     n.L1,
		"urls":   urls,
		"nodes":  n.Nodes,
	}
}
