// Messages as AvalancheGo encodes them, with a value in every field: the plugin's tests decode and encode them again.
package main

import (
	"context"
	"encoding/hex"
	"flag"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ava-labs/avalanchego/proto/pb/appsender"
	"github.com/ava-labs/avalanchego/proto/pb/http"
	"github.com/ava-labs/avalanchego/proto/pb/rpcdb"
	"github.com/ava-labs/avalanchego/proto/pb/sdk"
	"github.com/ava-labs/avalanchego/proto/pb/vm"
	manager "github.com/ava-labs/avalanchego/proto/pb/vm/runtime"
	warppb "github.com/ava-labs/avalanchego/proto/pb/warp"
)

// wireVectors gives lines of a name and hexadecimal bytes; avalanche/tests/it/wire.json holds what it prints.
func wireVectors(_ context.Context, flags *flag.FlagSet, arguments []string) (any, error) {
	_ = flags.Parse(arguments)
	var (
		lines []string
		err   error
	)
	show := func(name string, message proto.Message) {
		bytes, failed := proto.MarshalOptions{Deterministic: true}.Marshal(message)
		if failed != nil {
			err = failed
		}
		lines = append(lines, name+" "+hex.EncodeToString(bytes))
	}
	ts := &timestamppb.Timestamp{Seconds: 1700000000, Nanos: 123000000}
	height := uint64(9)
	show("runtime.Initialize", &manager.InitializeRequest{ProtocolVersion: 45, Addr: "127.0.0.1:1"})
	show("vm.Initialize", &vm.InitializeRequest{NetworkId: 12345, SubnetId: []byte{1}, ChainId: []byte{2}, NodeId: []byte{3}, PublicKey: []byte{4}, XChainId: []byte{5}, CChainId: []byte{6}, AvaxAssetId: []byte{7}, ChainDataDir: "/d", GenesisBytes: []byte{8}, UpgradeBytes: []byte{9}, ConfigBytes: []byte{10}, DbServerAddr: "db", ServerAddr: "srv", NetworkUpgrades: &vm.NetworkUpgrades{DurangoTime: ts}})
	show("vm.LastAccepted", &vm.InitializeResponse{LastAcceptedId: []byte{1}, LastAcceptedParentId: []byte{2}, Height: 3, Bytes: []byte{4}, Timestamp: ts})
	show("vm.SetState", &vm.SetStateRequest{State: vm.State_STATE_NORMAL_OP})
	show("vm.LastAccepted", &vm.SetStateResponse{LastAcceptedId: []byte{1}, LastAcceptedParentId: []byte{2}, Height: 3, Bytes: []byte{4}, Timestamp: ts})
	show("vm.Handlers", &vm.CreateHandlersResponse{Handlers: []*vm.Handler{{Prefix: "/x", ServerAddr: "a"}}})
	show("vm.HeaderHandler", &vm.NewHTTPHandlerResponse{ServerAddr: "a"})
	show("vm.EventFound", &vm.WaitForEventResponse{Message: vm.Message_MESSAGE_BUILD_BLOCK})
	show("vm.BuildBlock", &vm.BuildBlockRequest{PChainHeight: &height})
	show("vm.BuiltBlock", &vm.BuildBlockResponse{Id: []byte{1}, ParentId: []byte{2}, Bytes: []byte{3}, Height: 4, Timestamp: ts, VerifyWithContext: true})
	show("vm.ParseBlock", &vm.ParseBlockRequest{Bytes: []byte{1}})
	show("vm.ParsedBlock", &vm.ParseBlockResponse{Id: []byte{1}, ParentId: []byte{2}, Height: 4, Timestamp: ts, VerifyWithContext: true})
	show("vm.GetBlock", &vm.GetBlockRequest{Id: []byte{1}})
	show("vm.FoundBlock", &vm.GetBlockResponse{ParentId: []byte{1}, Bytes: []byte{2}, Height: 4, Timestamp: ts, Err: vm.Error_ERROR_NOT_FOUND, VerifyWithContext: true})
	show("vm.Preference", &vm.SetPreferenceRequest{Id: []byte{1}})
	show("vm.Verify", &vm.BlockVerifyRequest{Bytes: []byte{1}, PChainHeight: &height})
	show("vm.VerifiedBlock", &vm.BlockVerifyResponse{Timestamp: ts})
	show("vm.Accept", &vm.BlockAcceptRequest{Id: []byte{1}})
	show("vm.Reject", &vm.BlockRejectRequest{Id: []byte{1}})
	show("vm.HealthReport", &vm.HealthResponse{Details: []byte("{}")})
	show("vm.PluginVersion", &vm.VersionResponse{Version: "0.1.0"})
	show("vm.AppRequest", &vm.AppRequestMsg{NodeId: []byte{1}, RequestId: 2, Deadline: ts, Request: []byte{3}})
	show("vm.AppFailure", &vm.AppRequestFailedMsg{NodeId: []byte{1}, RequestId: 2, ErrorCode: -1, ErrorMessage: "timed out"})
	show("vm.AppResponse", &vm.AppResponseMsg{NodeId: []byte{1}, RequestId: 2, Response: []byte{3}})
	show("vm.AppGossip", &vm.AppGossipMsg{NodeId: []byte{1}, Msg: []byte{2}})
	show("vm.Connected", &vm.ConnectedRequest{NodeId: []byte{1}, Name: "avalanchego", Major: 1, Minor: 14, Patch: 2})
	show("vm.Disconnected", &vm.DisconnectedRequest{NodeId: []byte{1}})
	show("vm.AncestorsWanted", &vm.GetAncestorsRequest{BlkId: []byte{1}, MaxBlocksNum: 2, MaxBlocksSize: 3, MaxBlocksRetrivalTime: 4})
	show("vm.AncestorsFound", &vm.GetAncestorsResponse{BlksBytes: [][]byte{{1}, {2}}})
	show("vm.BatchParse", &vm.BatchedParseBlockRequest{Request: [][]byte{{1}, {2}}})
	show("vm.BatchParsed", &vm.BatchedParseBlockResponse{Response: []*vm.ParseBlockResponse{{Id: []byte{1}, ParentId: []byte{2}, Height: 4, Timestamp: ts}}})
	show("vm.IdAtHeight", &vm.GetBlockIDAtHeightRequest{Height: 5})
	show("vm.IdFound", &vm.GetBlockIDAtHeightResponse{BlkId: []byte{1}, Err: vm.Error_ERROR_NOT_FOUND})
	name, help, kind, value := "n", "h", dto.MetricType_GAUGE, 1.5
	show("metrics.Gathered", &vm.GatherResponse{MetricFamilies: []*dto.MetricFamily{{Name: &name, Help: &help, Type: &kind, Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: &value}}, {Label: []*dto.LabelPair{{Name: &name, Value: &help}}, Counter: &dto.Counter{Value: &value}}}}}})
	show("vm.SyncEnabled", &vm.StateSyncEnabledResponse{Enabled: true, Err: vm.Error_ERROR_STATE_SYNC_NOT_IMPLEMENTED})
	show("vm.Summary", &vm.GetOngoingSyncStateSummaryResponse{Id: []byte{1}, Height: 2, Bytes: []byte{3}, Err: vm.Error_ERROR_NOT_FOUND})
	show("vm.Summary", &vm.GetLastStateSummaryResponse{Id: []byte{1}, Height: 2, Bytes: []byte{3}, Err: vm.Error_ERROR_NOT_FOUND})
	show("vm.ParseSummary", &vm.ParseStateSummaryRequest{Bytes: []byte{1}})
	show("vm.ParsedSummary", &vm.ParseStateSummaryResponse{Id: []byte{1}, Height: 2, Err: vm.Error_ERROR_NOT_FOUND})
	show("vm.GetSummary", &vm.GetStateSummaryRequest{Height: 2})
	show("vm.SummaryAtHeight", &vm.GetStateSummaryResponse{Id: []byte{1}, Bytes: []byte{2}, Err: vm.Error_ERROR_NOT_FOUND})
	show("vm.AcceptSummary", &vm.StateSummaryAcceptRequest{Bytes: []byte{1}})
	show("vm.SummaryAccepted", &vm.StateSummaryAcceptResponse{Mode: vm.StateSummaryAcceptResponse_MODE_STATIC, Err: vm.Error_ERROR_CLOSED})
	show("http.SimpleRequest", &http.HandleSimpleHTTPRequest{Method: "GET", Url: "/u", RequestHeaders: []*http.Element{{Key: "K", Values: []string{"v", "w"}}}, Body: []byte{1}, ResponseHeaders: []*http.Element{{Key: "R"}}})
	show("http.SimpleResponse", &http.HandleSimpleHTTPResponse{Code: 200, Headers: []*http.Element{{Key: "K", Values: []string{"v"}}}, Body: []byte{1}})
	show("db.GetValue", &rpcdb.GetRequest{Key: []byte{1}})
	show("db.ValueFound", &rpcdb.GetResponse{Value: []byte{1}, Err: rpcdb.Error_ERROR_NOT_FOUND})
	show("db.PutValue", &rpcdb.PutRequest{Key: []byte{1}, Value: []byte{2}})
	show("db.ValuePut", &rpcdb.PutResponse{Err: rpcdb.Error_ERROR_CLOSED})
	show("sender.SendRequest", &appsender.SendAppRequestMsg{NodeIds: [][]byte{{1}}, RequestId: 2, Request: []byte{3}})
	show("sender.SendResponse", &appsender.SendAppResponseMsg{NodeId: []byte{1}, RequestId: 2, Response: []byte{3}})
	show("sender.SendRefusal", &appsender.SendAppErrorMsg{NodeId: []byte{1}, RequestId: 2, ErrorCode: 1, ErrorMessage: "no"})
	show("warp.SignMessage", &warppb.SignRequest{NetworkId: 12345, SourceChainId: []byte{1}, Payload: []byte{2}})
	show("warp.MessageSigned", &warppb.SignResponse{Signature: []byte{1}})
	show("warp.SignatureRequest", &sdk.SignatureRequest{Message: []byte{1}, Justification: []byte{2}})
	show("warp.SignatureResponse", &sdk.SignatureResponse{Signature: []byte{1}})
	show("sender.SendGossip", &appsender.SendAppGossipMsg{NodeIds: [][]byte{{1}}, Validators: 2, NonValidators: 3, Peers: 4, Msg: []byte{5}})
	return lines, err
}
