// One AvalancheGo process: its folder, its flags, its start and its end.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ava-labs/avalanchego/api/info"
	"github.com/ava-labs/avalanchego/ids"
	"github.com/ava-labs/avalanchego/staking"
	"github.com/ava-labs/avalanchego/utils/crypto/bls/signer/localsigner"
	"github.com/ava-labs/avalanchego/vms/platformvm/signer"

	configNode "github.com/ava-labs/avalanchego/config/node"
)

const (
	startTimeout = 60 * time.Second
	// A node whose VM is dead may ignore SIGTERM for 20 s.
	stopTimeout = 30 * time.Second
	poll        = 50 * time.Millisecond
)

type node struct {
	net *network
	// The folder with its keys, databases and logs.
	Dir string     `json:"dir"`
	ID  ids.NodeID `json:"id"`
	// The folder with its keys for the VM, which the chain's data directory gets a copy of; empty if it has none.
	Keys string `json:"keys"`
	// The file with its configuration of the chain; empty for the VM's own.
	Config string `json:"config"`
	// False for one that only follows.
	Validator bool `json:"validator"`
	// Where it answers, empty before its first start; it keeps its ports.
	URI     string `json:"uri"`
	Staking string `json:"staking"`
	PID     int    `json:"pid"`
}

// newNode makes the folder and the keys of one more node.
func (n *network) newNode(validator bool) (*node, *signer.ProofOfPossession, error) {
	dir := filepath.Join(n.dir, fmt.Sprintf("node-%d", len(n.Nodes)))
	keys := filepath.Join(dir, "staking")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return nil, nil, err
	}
	keyPath, certPath := filepath.Join(keys, "staker.key"), filepath.Join(keys, "staker.crt")
	if err := staking.InitNodeStakingKeyPair(keyPath, certPath); err != nil {
		return nil, nil, err
	}
	tls, err := staking.LoadTLSCertFromFiles(keyPath, certPath)
	if err != nil {
		return nil, nil, err
	}
	cert, err := staking.ParseCertificate(tls.Leaf.Raw)
	if err != nil {
		return nil, nil, err
	}
	bls, err := localsigner.FromFileOrPersistNew(filepath.Join(keys, "signer.key"))
	if err != nil {
		return nil, nil, err
	}
	proof, err := signer.NewProofOfPossession(bls)
	if err != nil {
		return nil, nil, err
	}
	made := &node{net: n, Dir: dir, ID: ids.NodeIDFromCert(cert), Validator: validator}
	n.Nodes = append(n.Nodes, made)
	return made, proof, nil
}

func (n *node) chainURL() string {
	return fmt.Sprintf("%s/ext/bc/%s", n.URI, n.net.Chain)
}

// networkID is the number of the network that the node is in.
func (n *node) networkID(ctx context.Context) (uint32, error) {
	return info.NewClient(n.URI).GetNetworkID(ctx)
}

// placeKeys copies the node's keys for the VM into the chain's data directory.
func (n *node) placeKeys() error {
	if n.Keys == "" {
		return nil
	}
	target := filepath.Join(n.Dir, "chainData", n.net.Chain.String(), "keys")
	if err := os.MkdirAll(target, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(n.Keys)
	if err != nil {
		return fmt.Errorf("the keys of %s: %w", n.ID, err)
	}
	for _, entry := range entries {
		secret, err := os.ReadFile(filepath.Join(n.Keys, entry.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(target, entry.Name()), secret, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// placeConfig copies the node's configuration of the chain to where AvalancheGo reads it at its start.
func (n *node) placeConfig() error {
	if n.Config == "" {
		return nil
	}
	target := filepath.Join(n.Dir, "configs", "chains", n.net.Chain.String())
	if err := os.MkdirAll(target, 0o700); err != nil {
		return err
	}
	text, err := os.ReadFile(n.Config)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(target, "config.toml"), text, 0o600)
}

// flags are everything that the node is started with; its first peers are those that run now.
func (n *node) flags() []string {
	http, peer := "0", "0"
	if n.URI != "" {
		http = n.URI[strings.LastIndexByte(n.URI, ':')+1:]
		peer = n.Staking[strings.LastIndexByte(n.Staking, ':')+1:]
	}
	flags := []string{
		"--data-dir=" + n.Dir,
		"--network-id=" + n.net.NetworkID,
		"--plugin-dir=" + n.net.PluginDir,
		"--http-host=127.0.0.1", "--http-port=" + http,
		"--staking-host=127.0.0.1", "--staking-port=" + peer, "--public-ip=127.0.0.1",
		"--log-display-level=warn",
		"--fd-limit=4096",
		"--health-check-frequency=500ms",
		"--system-tracker-disk-required-available-space-percentage=0",
		"--system-tracker-disk-warning-available-space-percentage=0",
	}
	if n.net.SybilProtectionOff {
		flags = append(flags, "--sybil-protection-enabled=false")
	} else {
		ips, peers := []string{}, []string{}
		for _, other := range n.net.Nodes {
			if other != n && other.running() {
				ips, peers = append(ips, other.Staking), append(peers, other.ID.String())
			}
		}
		flags = append(flags,
			"--genesis-file="+filepath.Join(n.net.dir, "network-genesis.json"),
			"--bootstrap-ips="+strings.Join(ips, ","),
			"--bootstrap-ids="+strings.Join(peers, ","),
			"--network-max-reconnect-delay=1s",
			"--network-peer-list-pull-gossip-frequency=250ms",
			"--proposervm-min-block-delay=0s",
		)
		if n.net.Subnet != ids.Empty {
			flags = append(flags, "--track-subnets="+n.net.Subnet.String())
		}
	}
	return append(flags, n.net.Flags...)
}

// start starts the process and waits until it can be connected to; its chains come later.
func (n *node) start(ctx context.Context) error {
	if n.running() {
		return fmt.Errorf("node %s runs already", n.ID)
	}
	contextFile := filepath.Join(n.Dir, "process.json")
	if err := os.Remove(contextFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	log, err := os.OpenFile(filepath.Join(n.Dir, "output.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	process := exec.Command(n.net.Avalanchego, n.flags()...)
	process.Stdout, process.Stderr = log, log
	// A session of its own: it outlives this command, and its plugins can be found by it.
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := process.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	n.PID = process.Process.Pid
	deadline := time.After(startTimeout)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return fmt.Errorf("node %s ended at once (%v), see %s", n.ID, err, n.Dir)
		case <-deadline:
			return fmt.Errorf("node %s listens nowhere after %s, see %s", n.ID, startTimeout, n.Dir)
		case <-time.After(poll):
		}
		text, err := os.ReadFile(contextFile)
		if err != nil {
			continue
		}
		var found configNode.ProcessContext
		if json.Unmarshal(text, &found) == nil && found.URI != "" {
			n.URI, n.Staking = found.URI, found.StakingAddress.String()
			return n.net.save()
		}
	}
}

// running tells whether the process is there and is this node's: a process id alone may have been used again.
func (n *node) running() bool {
	if n.PID == 0 {
		return false
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", n.PID))
	return err == nil && bytes.Contains(line, []byte("--data-dir="+n.Dir+"\x00")) && !zombie(n.PID)
}

// plugins are the process ids of the node's children that run the VM.
func (n *node) plugins() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(n.net.PluginDir, n.net.VM.String())
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || parent(pid) != n.PID || zombie(pid) {
			continue
		}
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && bytes.HasPrefix(line, []byte(path+"\x00")) {
			found = append(found, pid)
		}
	}
	return found, nil
}

// signalNodes sends a signal to those of the nodes that run, and waits for their end; after the time limit they are killed.
// It gives the number of those.
func signalNodes(nodes []*node, signal syscall.Signal) (int, error) {
	for _, node := range nodes {
		if node.running() {
			if err := syscall.Kill(node.PID, signal); err != nil {
				return 0, err
			}
		}
	}
	killed := 0
	deadline := time.Now().Add(stopTimeout)
	for _, node := range nodes {
		for node.running() {
			if time.Now().After(deadline) {
				killed++
				if err := syscall.Kill(node.PID, syscall.SIGKILL); err != nil {
					return killed, err
				}
				deadline = time.Now().Add(stopTimeout)
			}
			time.Sleep(poll)
		}
	}
	return killed, nil
}

// stat gives the fields of /proc/PID/stat after the command, which stands in parentheses: state, then the parent's process id.
func stat(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

func zombie(pid int) bool {
	fields := stat(pid)
	return len(fields) == 0 || fields[0] == "Z" || fields[0] == "X"
}

func parent(pid int) int {
	fields := stat(pid)
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}
