// What each command does, in terms of networks and nodes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ava-labs/avalanchego/api/health"
	"github.com/ava-labs/avalanchego/api/info"
	"github.com/ava-labs/avalanchego/vms/platformvm/signer"
)

// The longest that a command waits for what it has begun.
const commandTimeout = 4 * time.Minute

func up(ctx context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	var (
		dir       = flags.String("dir", "", "an empty folder for the network")
		count     = flags.Int("nodes", 1, "how many nodes; one runs without sybil protection")
		binary    = flags.String("avalanchego", "", "path of AvalancheGo")
		pluginDir = flags.String("plugin-dir", "", "the folder that holds the VM's binary under its id")
		vm        = flags.String("vm", "", "the VM's name")
		file      = flags.String("genesis", "", "the chain's genesis")
		keys      = flags.String("keys", "", "folders with the nodes' keys for the VM, with commas between them, in the nodes' order")
		config    = flags.String("config", "", "a file with every node's configuration of the chain")
		more      = flags.String("flags", "", "more flags for every node, with spaces between them")
	)
	_ = flags.Parse(arguments)
	if *count < 1 || *dir == "" || *binary == "" || *pluginDir == "" || *file == "" {
		return nil, errors.New("--dir, --avalanchego, --plugin-dir, --vm and --genesis are needed, and at least one node")
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	net, err := newNetwork(*dir, *binary, *pluginDir, *vm)
	if err != nil {
		return nil, err
	}
	net.Flags = strings.Fields(*more)
	if net.config, err = absolute(*config); err != nil {
		return nil, err
	}
	bytes, err := os.ReadFile(*file)
	if err != nil {
		return nil, err
	}
	seconds, err := net.build(ctx, *count, strings.Split(*keys, ","), bytes)
	if err != nil {
		_, _ = signalNodes(net.Nodes, syscall.SIGTERM)
		return nil, err
	}
	answer := net.answer()
	answer["seconds"] = seconds
	return answer, nil
}

func newNetwork(dir, binary, pluginDir, vm string) (*network, error) {
	net := &network{}
	var err error
	for target, path := range map[*string]string{&net.dir: dir, &net.Avalanchego: binary, &net.PluginDir: pluginDir} {
		if *target, err = filepath.Abs(path); err != nil {
			return nil, err
		}
	}
	if net.VM, err = vmIDOf(vm); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(net.PluginDir, net.VM.String())); err != nil {
		return nil, fmt.Errorf("the plugin folder lacks the VM: %w", err)
	}
	if _, err := os.Stat(filepath.Join(net.dir, "network.json")); err == nil {
		return nil, fmt.Errorf("%s holds a network already", net.dir)
	}
	return net, os.MkdirAll(net.dir, 0o700)
}

// build starts the nodes, makes the subnet and the chain, and gives the seconds of each step.
func (n *network) build(ctx context.Context, count int, keys []string, genesis []byte) (map[string]float64, error) {
	seconds, begun := map[string]float64{}, time.Now()
	took := func(step string) {
		seconds[step] = time.Since(begun).Seconds()
		say("%s after %.2f s", step, seconds[step])
	}
	n.SybilProtectionOff, n.NetworkID = count == 1, "local"
	if !n.SybilProtectionOff {
		n.NetworkID = fmt.Sprint(customNetworkID)
	}
	var proofs []*signer.ProofOfPossession
	for i := range count {
		made, proof, err := n.newNode(true)
		if err != nil {
			return nil, err
		}
		made.Config = n.config
		if i < len(keys) && keys[i] != "" {
			if made.Keys, err = filepath.Abs(keys[i]); err != nil {
				return nil, err
			}
		}
		proofs = append(proofs, proof)
	}
	if err := n.writeGenesis(proofs); err != nil {
		return nil, err
	}
	if err := n.startAll(ctx, n.Nodes); err != nil {
		return nil, err
	}
	if err := bootstrapped(ctx, n.Nodes, "P"); err != nil {
		return nil, err
	}
	took("nodes")
	uri := n.Nodes[0].URI
	if err := n.createSubnet(ctx, uri); err != nil {
		return nil, err
	}
	took("subnet")
	if err := n.createChain(ctx, uri, genesis); err != nil {
		return nil, err
	}
	took("chain")
	if !n.SybilProtectionOff {
		// A node follows the subnets that it was started with.
		if _, err := signalNodes(n.Nodes, syscall.SIGTERM); err != nil {
			return nil, err
		}
		if err := n.startAll(ctx, n.Nodes); err != nil {
			return nil, err
		}
	}
	if err := bootstrapped(ctx, n.Nodes, n.Chain.String()); err != nil {
		return nil, err
	}
	took("bootstrapped")
	// Our chain takes requests before the node's own chains do after the restart.
	if err := healthy(ctx, n.Nodes); err != nil {
		return nil, err
	}
	took("healthy")
	return seconds, nil
}

// absolute is a path that means the same for every command; none stays none.
func absolute(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return filepath.Abs(path)
}

// startAll starts the nodes, each with those before it as first peers.
func (n *network) startAll(ctx context.Context, nodes []*node) error {
	for _, node := range nodes {
		if err := node.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// opened reads --dir and --node.
func opened(flags *flag.FlagSet, arguments []string) (*network, []*node, error) {
	dir := flags.String("dir", "", "the network's folder")
	which := flags.String("node", "all", "numbers of nodes with commas between them, or all")
	_ = flags.Parse(arguments)
	net, err := open(*dir)
	if err != nil {
		return nil, nil, err
	}
	nodes, err := net.chosen(*which)
	return net, nodes, err
}

func down(_ context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	hard := flags.Bool("kill", false, "do not ask first")
	net, _, err := opened(flags, arguments)
	if err != nil {
		return nil, err
	}
	signal := syscall.SIGTERM
	if *hard {
		signal = syscall.SIGKILL
	}
	begun := time.Now()
	killed, err := signalNodes(net.Nodes, signal)
	return map[string]any{"killed": killed, "seconds": time.Since(begun).Seconds()}, err
}

func stopNode(_ context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	_, nodes, err := opened(flags, arguments)
	if err != nil {
		return nil, err
	}
	killed, err := signalNodes(nodes, syscall.SIGTERM)
	return map[string]any{"killed": killed}, err
}

func killNode(_ context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	_, nodes, err := opened(flags, arguments)
	if err != nil {
		return nil, err
	}
	_, err = signalNodes(nodes, syscall.SIGKILL)
	return map[string]any{}, err
}

func killPlugin(_ context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	_, nodes, err := opened(flags, arguments)
	if err != nil {
		return nil, err
	}
	all := []int{}
	for _, node := range nodes {
		plugins, err := node.plugins()
		if err != nil {
			return nil, err
		}
		for _, pid := range plugins {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				return nil, err
			}
		}
		all = append(all, plugins...)
	}
	return map[string]any{"killed": all}, nil
}

func startNode(ctx context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	net, nodes, err := opened(flags, arguments)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	begun := time.Now()
	if err := net.startAll(ctx, nodes); err != nil {
		return nil, err
	}
	if err := bootstrapped(ctx, nodes, net.Chain.String()); err != nil {
		return nil, err
	}
	answer := net.answer()
	answer["seconds"] = time.Since(begun).Seconds()
	return answer, nil
}

func add(ctx context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	config := flags.String("config", "", "a file with the node's configuration of the chain")
	net, _, err := opened(flags, arguments)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	begun := time.Now()
	node, _, err := net.newNode(false)
	if err != nil {
		return nil, err
	}
	if node.Config, err = absolute(*config); err != nil {
		return nil, err
	}
	if err := node.placeConfig(); err != nil {
		return nil, err
	}
	if err := node.start(ctx); err != nil {
		return nil, err
	}
	if err := bootstrapped(ctx, net.Nodes[len(net.Nodes)-1:], net.Chain.String()); err != nil {
		return nil, err
	}
	answer := net.answer()
	answer["seconds"] = time.Since(begun).Seconds()
	return answer, nil
}

func convert(ctx context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	net, _, err := opened(flags, arguments)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	begun := time.Now()
	via, err := net.anyRunning()
	if err != nil {
		return nil, err
	}
	// The wallet asks all three, which may still come up after a restart.
	for _, chain := range []string{"P", "X", "C"} {
		if err := bootstrapped(ctx, []*node{via}, chain); err != nil {
			return nil, err
		}
	}
	if err := net.convertToL1(ctx, via.URI); err != nil {
		return nil, err
	}
	answer := net.answer()
	answer["seconds"] = time.Since(begun).Seconds()
	return answer, nil
}

func validators(ctx context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	net, _, err := opened(flags, arguments)
	if err != nil {
		return nil, err
	}
	node, err := net.anyRunning()
	if err != nil {
		return nil, err
	}
	return net.validatorSet(ctx, node.URI)
}

func status(ctx context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	net, nodes, err := opened(flags, arguments)
	if err != nil {
		return nil, err
	}
	shown := []map[string]any{}
	for _, node := range nodes {
		entry := map[string]any{"id": node.ID, "running": node.running(), "bootstrapped": false, "healthy": false}
		if node.running() {
			done, err := info.NewClient(node.URI).IsBootstrapped(ctx, net.Chain.String())
			entry["bootstrapped"] = err == nil && done
			if reply, err := health.NewClient(node.URI).Health(ctx, nil); err == nil {
				entry["healthy"], entry["checks"] = reply.Healthy, reply.Checks
			}
			plugins, _ := node.plugins()
			entry["plugins"] = plugins
		}
		shown = append(shown, entry)
	}
	return map[string]any{"nodes": shown}, nil
}
