//! The wire: messages that AvalancheGo's own code encoded, with a value in every field, are decoded and encoded to the same
//! bytes. `avalanche-harness wire-vectors` prints them.

use gridproof_avalanche::wire::vm::Initialize;
use gridproof_avalanche::wire::{db, http, metrics, runtime, sender, vm, warp};

/// Lines of a name and hexadecimal bytes.
fn vectors() -> Vec<(String, Vec<u8>)> {
    let lines: Vec<String> = serde_json::from_str(include_str!("wire.json")).unwrap();
    let split = |line: String| {
        let (name, digits) = line.split_once(' ').unwrap();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        let bytes = (0..digits.len()).step_by(2).map(byte).collect();
        (name.to_owned(), bytes)
    };
    lines.into_iter().map(split).collect()
}

fn again<M: prost::Message + Default>(bytes: &[u8]) -> Vec<u8> {
    M::decode(bytes).unwrap().encode_to_vec()
}

/// The bytes of a message of ours after decoding and encoding; none for a name that is none of ours.
fn through(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let through = match name {
        "runtime.Initialize" => again::<runtime::Announcement>,
        "vm.LastAccepted" => again::<vm::LastAccepted>,
        "vm.SetState" => again::<vm::SetState>,
        "vm.Handlers" => again::<vm::Handlers>,
        "vm.HeaderHandler" => again::<vm::HeaderHandler>,
        "vm.EventFound" => again::<vm::EventFound>,
        "vm.BuildBlock" => again::<vm::BuildBlock>,
        "vm.BuiltBlock" => again::<vm::BuiltBlock>,
        "vm.ParseBlock" => again::<vm::ParseBlock>,
        "vm.ParsedBlock" => again::<vm::ParsedBlock>,
        "vm.GetBlock" => again::<vm::GetBlock>,
        "vm.FoundBlock" => again::<vm::FoundBlock>,
        "vm.Preference" => again::<vm::Preference>,
        "vm.Verify" => again::<vm::Verify>,
        "vm.VerifiedBlock" => again::<vm::VerifiedBlock>,
        "vm.Accept" => again::<vm::Accept>,
        "vm.Reject" => again::<vm::Reject>,
        "vm.HealthReport" => again::<vm::HealthReport>,
        "vm.PluginVersion" => again::<vm::PluginVersion>,
        "vm.AppRequest" => again::<vm::AppRequest>,
        "vm.AppFailure" => again::<vm::AppFailure>,
        "vm.AppResponse" => again::<vm::AppResponse>,
        "vm.AppGossip" => again::<vm::AppGossip>,
        "vm.Connected" => again::<vm::Connected>,
        "vm.Disconnected" => again::<vm::Disconnected>,
        "vm.AncestorsWanted" => again::<vm::AncestorsWanted>,
        "vm.AncestorsFound" => again::<vm::AncestorsFound>,
        "vm.BatchParse" => again::<vm::BatchParse>,
        "vm.BatchParsed" => again::<vm::BatchParsed>,
        "vm.IdAtHeight" => again::<vm::IdAtHeight>,
        "vm.IdFound" => again::<vm::IdFound>,
        "metrics.Gathered" => again::<metrics::GatheredMetrics>,
        "vm.SyncEnabled" => again::<vm::SyncEnabled>,
        "vm.Summary" => again::<vm::Summary>,
        "vm.ParseSummary" => again::<vm::ParseSummary>,
        "vm.ParsedSummary" => again::<vm::ParsedSummary>,
        "vm.GetSummary" => again::<vm::GetSummary>,
        "vm.SummaryAtHeight" => again::<vm::SummaryAtHeight>,
        "vm.AcceptSummary" => again::<vm::AcceptSummary>,
        "vm.SummaryAccepted" => again::<vm::SummaryAccepted>,
        "http.SimpleRequest" => again::<http::SimpleRequest>,
        "http.SimpleResponse" => again::<http::SimpleResponse>,
        "db.GetValue" => again::<db::GetValue>,
        "db.ValueFound" => again::<db::ValueFound>,
        "db.PutValue" => again::<db::PutValue>,
        "db.ValuePut" => again::<db::ValuePut>,
        "sender.SendRequest" => again::<sender::SendRequest>,
        "sender.SendResponse" => again::<sender::SendResponse>,
        "sender.SendRefusal" => again::<sender::SendRefusal>,
        "sender.SendGossip" => again::<sender::SendGossip>,
        "warp.SignMessage" => again::<warp::SignMessage>,
        "warp.MessageSigned" => again::<warp::MessageSigned>,
        "warp.SignatureRequest" => again::<warp::SignatureRequest>,
        "warp.SignatureResponse" => again::<warp::SignatureResponse>,
        _ => return None,
    };
    Some(through(bytes))
}

#[test]
fn messages_of_the_host_come_back_byte_for_byte() {
    let vectors = vectors();
    assert!(vectors.len() > 50);
    for (name, bytes) in vectors {
        if name != "vm.Initialize" {
            assert_eq!(through(&name, &bytes), Some(bytes), "{name}");
        }
    }
}

#[test]
fn what_is_read_of_initialize_is_what_the_host_wrote() {
    let (_, bytes) = vectors()
        .into_iter()
        .find(|(name, _)| name == "vm.Initialize")
        .unwrap();
    let expected = Initialize {
        network_id: 12_345,
        subnet_id: vec![1],
        chain_id: vec![2],
        node_id: vec![3],
        public_key: vec![4],
        chain_data_dir: "/d".to_owned(),
        genesis_bytes: vec![8],
        upgrade_bytes: vec![9],
        config_bytes: vec![10],
        db_server_addr: "db".to_owned(),
        server_addr: "srv".to_owned(),
    };
    let decoded: Initialize = prost::Message::decode(&bytes[..]).unwrap();
    assert_eq!(decoded, expected);
}
