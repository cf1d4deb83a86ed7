// The harness of the tests with a real AvalancheGo: starts nodes, makes a subnet with one chain of a given VM, and does to the
// nodes what the tests ask for.
//
// Each command is a process of its own. What it leaves is DIR/network.json and the nodes, which outlive it; what it says
// is one JSON object on standard output. It promises nothing about networks that it did not start.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ava-labs/avalanchego/ids"
)

// A command: its arguments are read by the flag set it gets, and it gives what is printed.
type command struct {
	name  string
	about string
	run   func(ctx context.Context, flags *flag.FlagSet, arguments []string) (any, error)
}

var commands = []command{
	{"up", "start nodes, make a subnet and its chain, wait until it takes requests", up},
	{"down", "stop every node; with --kill at once", down},
	{"stop", "stop one node, or all with --node all", stopNode},
	{"kill", "kill one node, or all with --node all", killNode},
	{"kill-plugin", "kill the VM's process of one node", killPlugin},
	{"start", "start one node again, or all with --node all", startNode},
	{"add", "start one more node, which follows the chain without being a validator", add},
	{"convert", "convert the subnet to an L1 with the same validators", convert},
	{"validators", "the subnet's validator set with BLS keys, as the P-chain gives it", validators},
	{"status", "every node: running, bootstrapped, healthy", status},
	{"block-times", "what the calls of a block took on one node, as the host and our VM have measured them", blockTimes},
	{"vm-id", "the id of a VM's name, as AvalancheGo writes it", vmID},
	{"wire-vectors", "messages as AvalancheGo encodes them, for the plugin's tests", wireVectors},
	{"warp-vectors", "messages about the state as AvalancheGo signs and verifies them, for the tests of crate warp", warpVectors},
	{"warp-sign", "ask nodes, as a peer, to sign a claim about the chain's state", warpSign},
	{"warp-verify", "verify a signed message against the subnet's validators by AvalancheGo's own code", warpVerify},
	{"xsvm-genesis", "write a genesis of the example VM", xsvmGenesis},
	{"xsvm-load", "offer transfers to a chain of the example VM at a rate, whatever becomes of them", xsvmLoad},
	{"xsvm-transfer", "send transfers on a chain of the example VM, and time them", xsvmTransfer},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 {
		usage()
	}
	for _, command := range commands {
		if command.name != os.Args[1] {
			continue
		}
		flags := flag.NewFlagSet(command.name, flag.ExitOnError)
		answer, err := command.run(ctx, flags, os.Args[2:])
		if err != nil {
			fmt.Fprintf(os.Stderr, "error: %s: %s\n", command.name, err)
			os.Exit(1)
		}
		text, err := json.Marshal(answer)
		if err != nil {
			fmt.Fprintf(os.Stderr, "error: %s\n", err)
			os.Exit(1)
		}
		fmt.Println(string(text))
		return
	}
	usage()
}

func usage() {
	fmt.Fprintln(os.Stderr, "avalanche-harness COMMAND [flags]; each command shows its flags with --help")
	for _, command := range commands {
		fmt.Fprintf(os.Stderr, "  %-14s %s\n", command.name, command.about)
	}
	os.Exit(2)
}

// say tells people what goes on; it is no part of the answer.
func say(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().UTC().Format("15:04:05.000"), fmt.Sprintf(format, values...))
}

// A VM's id holds its name's bytes and zeros.
func vmIDOf(name string) (ids.ID, error) {
	var id ids.ID
	if len(name) == 0 || len(name) > len(id) {
		return id, fmt.Errorf("a VM's name has 1 to %d bytes, %q has %d", len(id), name, len(name))
	}
	copy(id[:], name)
	return id, nil
}

func vmID(_ context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	name := flags.String("name", "", "the VM's name")
	_ = flags.Parse(arguments)
	id, err := vmIDOf(strings.TrimSpace(*name))
	return map[string]any{"name": *name, "id": id}, err
}
