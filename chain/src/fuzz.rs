//! Decoders of gossip, blobs and state sync, fed with changed bytes.

use state::subtree::{MAX_SUBTREE_BYTES, Subtree};
use state::tree::NodePath;
use types::codec::{Bounded, encode};
use types::hash::{BlobId, ChainId, Hash32, JobId};
use types::number::{Attempt, Fuel, Height};
use types::state_key::StateKey;
use types::stored::{Holding, StoredStatement, StoredSubject};
use types::testing::fuzz::fuzz_canonical;
use types::testing::numbered;
use types::transaction::SystemMessage;

use crate::gossip::{BlobMessage, ChunkRequest, PoolMessage};
use crate::state_sync::request::SyncRequest;

const LIMIT: usize = 1 << 20;

fn stored() -> SystemMessage {
    let subject = StoredSubject {
        job: JobId(Hash32([7; 32])),
        attempt: Attempt(1),
        holding: Holding::Results,
    };
    let statement = StoredStatement {
        subject,
        bytes: 9,
        fuel: Fuel(0),
    };
    SystemMessage::Stored(statement.sign(&numbered::key(1), ChainId::default()))
}

#[test]
fn fuzz_gossip() {
    let genesis = numbered::genesis(1);
    let transfers = (0..3).map(|nonce| numbered::transfer(&genesis, 1, nonce));
    let pool = [
        PoolMessage::Transactions(Bounded::new(transfers.collect()).unwrap()),
        PoolMessage::System(Bounded::new(vec![stored()]).unwrap()),
    ];
    let seeds = pool.iter().map(encode).collect();
    fuzz_canonical::<PoolMessage>("pool message", seeds, LIMIT);
    let have = BlobMessage::Have(Bounded::new(vec![BlobId::of(b"a"), BlobId::of(b"b")]).unwrap());
    fuzz_canonical::<BlobMessage>("blob message", vec![encode(&have)], LIMIT);
    let request = ChunkRequest {
        blob: BlobId::of(b"a"),
        chunk: 3,
    };
    fuzz_canonical::<ChunkRequest>("chunk request", vec![encode(&request)], LIMIT);
}

#[test]
fn fuzz_state_sync() {
    let requests = [
        SyncRequest::Block(Height(3)),
        SyncRequest::Receipts(Height(4)),
        SyncRequest::Subtree {
            height: Height(5),
            path: NodePath::default(),
        },
    ];
    let seeds = requests.iter().map(encode).collect();
    fuzz_canonical::<SyncRequest>("sync request", seeds, LIMIT);
    let value = (StateKey::Chain, Bounded::new(vec![1, 2, 3]).unwrap());
    let pieces = [
        Subtree::Values(Bounded::new(vec![value]).unwrap()),
        Subtree::Node(Bounded::new(vec![0; 68]).unwrap()),
    ];
    let seeds: Vec<_> = pieces.iter().map(encode).collect();
    fuzz_canonical::<Subtree>("sync answer", seeds.clone(), MAX_SUBTREE_BYTES);
    types::testing::fuzz::fuzz("sync answer, checked", seeds, |input| {
        let piece = types::codec::decode::<Subtree>(input, MAX_SUBTREE_BYTES);
        let checked = piece.map(|piece| piece.check(&NodePath::default(), &Hash32::ZERO));
        types::testing::fuzz::AnswerMark::of(&checked.map(|answer| answer.is_ok()))
    });
}
