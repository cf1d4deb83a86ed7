// What a block costs between the host and the VM's process, from the metrics of a node: the host times each call, our VM times
// its own answers, and what lies between the two is gRPC's.
package main

import (
	"context"
	"errors"
	"flag"
	"math"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"github.com/ava-labs/avalanchego/api/metrics"
)

// The host's timers of the calls that each block needs, by the name that our VM gives the call. With a P-chain height or
// without, and several blocks at once or one: it is the same call of the VM, or takes its place.
var blockCalls = map[string][]string{
	"BuildBlock":    {"build_block", "build_block_with_context"},
	"ParseBlock":    {"parse_block"},
	"SetPreference": {"set_preference", "set_preference_with_context"},
	"BlockVerify":   {"verify", "verify_with_context"},
	"BlockAccept":   {"accept"},
}

func blockTimes(ctx context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	net, nodes, err := opened(flags, arguments)
	if err != nil {
		return nil, err
	}
	families, err := metrics.NewClient(nodes[0].URI).GetMetrics(ctx)
	if err != nil {
		return nil, err
	}
	// Sums of a family's metrics of our chain, in the unit of the family.
	sum := func(name, call string) float64 {
		total := 0.0
		for full, family := range families {
			if full != name && !strings.HasSuffix(full, "_"+name) {
				continue
			}
			for _, metric := range family.Metric {
				if label(metric, "chain") == net.Chain.String() && (call == "" || label(metric, "call") == call) {
					total += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
				}
			}
		}
		return total
	}
	blocks := sum("meterchainvm_accept_count", "")
	if blocks == 0 {
		return nil, errors.New("the node has accepted no block since its start")
	}
	host, vm, calls := 0.0, 0.0, map[string]any{}
	round := func(milliseconds float64) float64 { return math.Round(milliseconds*1000) / 1000 }
	for call, timers := range blockCalls {
		count, took := 0.0, 0.0
		for _, timer := range timers {
			count += sum("meterchainvm_"+timer+"_count", "")
			// Nanoseconds.
			took += sum("meterchainvm_"+timer+"_sum", "") / 1e6
		}
		own := sum("gridproof_call_seconds", call) * 1e3
		host, vm = host+took, vm+own
		calls[call] = map[string]any{"count": count, "answered": sum("gridproof_calls", call), "host_ms": round(took / blocks), "vm_ms": round(own / blocks)}
	}
	answer := map[string]any{"blocks": blocks, "host_ms_per_block": round(host / blocks), "calls": calls}
	if vm > 0 {
		answer["vm_ms_per_block"], answer["grpc_ms_per_block"] = round(vm/blocks), round((host-vm)/blocks)
	}
	return answer, nil
}

func label(metric *dto.Metric, name string) string {
	for _, label := range metric.Label {
		if label.GetName() == name {
			return label.GetValue()
		}
	}
	return ""
}
