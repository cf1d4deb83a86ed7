//! Calls about blocks. What a peer sent is parsed without any state; what is not found is an answer, not a failure.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use prost_types::Timestamp as WireTime;
use state::{ChainStore, DecidedState, StateError};
use store::Store;
use tokio::sync::oneshot;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use types::hash::{BlockId, Hash32};
use types::number::{Height, Timestamp};
use types::signed_block::SignedBlock;

use super::VmService;
use crate::effect::{CallReply, HostCall};
use crate::grpc;
use crate::shell::HostInput;
use crate::wire::Empty;
use crate::wire::vm::{
    Accept, AncestorsFound, AncestorsWanted, BatchParse, BatchParsed, BuildBlock, BuiltBlock,
    FoundBlock, GetBlock, IdAtHeight, IdFound, LastAccepted, ParseBlock, ParsedBlock, Preference,
    Reject, VerifiedBlock, Verify, WireError,
};

/// The last millisecond that a protobuf timestamp can hold: the end of the year 9999.
const MAX_WIRE_MS: u64 = 253_402_300_799_999;

/// Answers the calls about blocks.
pub(super) async fn serve(
    vm: VmService,
    method: &str,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    match method {
        "BuildBlock" => grpc::answer(request, |_: BuildBlock| vm.build_block()).await,
        "ParseBlock" => grpc::answer(request, |m| vm.parse_block(m)).await,
        "BatchedParseBlock" => grpc::answer(request, |m| vm.parse_blocks(m)).await,
        "GetBlock" => grpc::answer(request, |m| vm.get_block(m)).await,
        "GetBlockIDAtHeight" => grpc::answer(request, |m| vm.id_at_height(m)).await,
        "GetAncestors" => grpc::answer(request, |m| vm.ancestors(m)).await,
        "SetPreference" => grpc::answer(request, |m| vm.set_preference(m)).await,
        "BlockVerify" => grpc::answer(request, |m| vm.verify(m)).await,
        "BlockAccept" => grpc::answer(request, |m| vm.accept(m)).await,
        "BlockReject" => grpc::answer(request, |m| vm.reject(m)).await,
        _ => grpc::unknown_method(),
    }
}

fn wire_time(time: Timestamp) -> Option<WireTime> {
    let seconds = i64::try_from(time.0 / 1_000).ok()?;
    let nanos = i32::try_from(time.0 % 1_000 * 1_000_000).ok()?;
    Some(WireTime { seconds, nanos })
}

fn block_id(bytes: &[u8]) -> Result<BlockId, Status> {
    let bytes = bytes
        .try_into()
        .map_err(|_| Status::invalid_argument("a block's id has 32 bytes"));
    Ok(BlockId(Hash32(bytes?)))
}

fn unreadable(error: &StateError) -> Status {
    tracing::error!(%error, "the store cannot be read");
    Status::internal(format!("the store cannot be read: {error}"))
}

/// A block of the store as it travels.
fn stored_block(store: &Store, height: Height) -> Result<Option<SignedBlock>, StateError> {
    let Some(block) = store.block_at(height)? else {
        return Ok(None);
    };
    Ok(SignedBlock::stored(block, store.proposer_at(height)?))
}

impl VmService {
    /// Decodes what anybody may have sent: an error changes nothing.
    fn parsed(&self, bytes: &[u8]) -> Result<SignedBlock, Status> {
        let genesis = self.chain()?.genesis;
        let block = SignedBlock::from_bytes(bytes)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let (id, header) = (block.block().id(), &block.block().header);
        if header.height == Height::ZERO && id != genesis {
            return Err(Status::invalid_argument(
                "the genesis block of another chain",
            ));
        }
        if header.timestamp.0 > MAX_WIRE_MS {
            return Err(Status::invalid_argument("a time after the year 9999"));
        }
        Ok(block)
    }

    async fn build_block(self) -> Result<BuiltBlock, Status> {
        let built = self.ask(HostCall::Build).await;
        self.set_told(None);
        let CallReply::Built(block) = built? else {
            return Err(Status::internal("the answer to another call"));
        };
        let header = &block.block().header;
        Ok(BuiltBlock {
            id: block.block().id().0.0.to_vec(),
            parent_id: header.parent.0.0.to_vec(),
            height: header.height.0,
            timestamp: wire_time(header.timestamp),
            bytes: block.to_bytes(),
            verify_with_context: false,
        })
    }

    fn parsed_wire(&self, bytes: &[u8]) -> Result<ParsedBlock, Status> {
        let block = self.parsed(bytes)?;
        let header = &block.block().header;
        Ok(ParsedBlock {
            id: block.block().id().0.0.to_vec(),
            parent_id: header.parent.0.0.to_vec(),
            height: header.height.0,
            timestamp: wire_time(header.timestamp),
            verify_with_context: false,
        })
    }

    #[expect(clippy::unused_async, reason = "calls are asynchronous")]
    async fn parse_block(self, request: ParseBlock) -> Result<ParsedBlock, Status> {
        self.parsed_wire(&request.bytes)
    }

    #[expect(clippy::unused_async, reason = "calls are asynchronous")]
    async fn parse_blocks(self, request: BatchParse) -> Result<BatchParsed, Status> {
        let all = request.request.iter();
        let response = all
            .map(|bytes| self.parsed_wire(bytes))
            .collect::<Result<_, _>>()?;
        Ok(BatchParsed { response })
    }

    /// A block that was verified or accepted here.
    async fn find(&self, id: BlockId) -> Result<Option<SignedBlock>, Status> {
        let chain = self.chain()?;
        let (answer, answered) = oneshot::channel();
        let asked = chain.inputs.send(HostInput::Processing(id, answer)).await;
        if asked.is_ok()
            && let Ok(Some(block)) = answered.await
        {
            return Ok(Some(block));
        }
        let store = &chain.store;
        let found = tokio::task::block_in_place(|| match store.height_of(&id)? {
            Some(height) => stored_block(store, height),
            None => Ok(None),
        });
        found.map_err(|error| unreadable(&error))
    }

    async fn get_block(self, request: GetBlock) -> Result<FoundBlock, Status> {
        let Some(block) = self.find(block_id(&request.id)?).await? else {
            return Ok(FoundBlock {
                err: WireError::NotFound.into(),
                ..FoundBlock::default()
            });
        };
        let header = &block.block().header;
        Ok(FoundBlock {
            parent_id: header.parent.0.0.to_vec(),
            height: header.height.0,
            timestamp: wire_time(header.timestamp),
            bytes: block.to_bytes(),
            err: WireError::None.into(),
            verify_with_context: false,
        })
    }

    #[expect(clippy::unused_async, reason = "calls are asynchronous")]
    async fn id_at_height(self, request: IdAtHeight) -> Result<IdFound, Status> {
        let store = &self.chain()?.store;
        let found = tokio::task::block_in_place(|| store.block_at(Height(request.height)));
        Ok(match found.map_err(|error| unreadable(&error))? {
            Some(block) => IdFound {
                blk_id: block.id().0.0.to_vec(),
                err: WireError::None.into(),
            },
            None => IdFound {
                blk_id: Vec::new(),
                err: WireError::NotFound.into(),
            },
        })
    }

    /// The block and those below it, within the limits of the request.
    async fn ancestors(self, request: AncestorsWanted) -> Result<AncestorsFound, Status> {
        let began = Instant::now();
        let time = u64::try_from(request.max_blocks_retrieval_ns).unwrap_or_default();
        let count = usize::try_from(request.max_blocks_num).unwrap_or_default();
        let mut room = usize::try_from(request.max_blocks_size).unwrap_or_default();
        let mut found = AncestorsFound::default();
        let mut next = block_id(&request.blk_id)?;
        while found.blks_bytes.len() < count {
            let Some(block) = self.find(next).await? else {
                break;
            };
            let bytes = block.to_bytes();
            let cost = bytes.len() + 4;
            let first = found.blks_bytes.is_empty();
            if !first && (cost > room || began.elapsed() >= Duration::from_nanos(time)) {
                break;
            }
            room = room.saturating_sub(cost);
            found.blks_bytes.push(bytes);
            if block.block().header.height == Height::ZERO {
                break;
            }
            next = block.block().header.parent;
        }
        Ok(found)
    }

    async fn set_preference(self, request: Preference) -> Result<Empty, Status> {
        self.ask(HostCall::Prefer(block_id(&request.id)?)).await?;
        Ok(Empty {})
    }

    async fn verify(self, request: Verify) -> Result<VerifiedBlock, Status> {
        let block = self.parsed(&request.bytes)?;
        let timestamp = block.block().header.timestamp;
        self.ask(HostCall::Verify(Box::new(block))).await?;
        Ok(VerifiedBlock {
            timestamp: wire_time(timestamp),
        })
    }

    async fn accept(self, request: Accept) -> Result<Empty, Status> {
        self.ask(HostCall::Accept(block_id(&request.id)?)).await?;
        Ok(Empty {})
    }

    async fn reject(self, request: Reject) -> Result<Empty, Status> {
        self.ask(HostCall::Reject(block_id(&request.id)?)).await?;
        Ok(Empty {})
    }

    /// The last accepted block, as the host wants to be told after its start and after each change of its state.
    pub(super) fn last_accepted(&self) -> Result<LastAccepted, Status> {
        let store = &self.chain()?.store;
        let height = store.tip().height;
        let block = tokio::task::block_in_place(|| stored_block(store, height));
        let block = block.map_err(|error| unreadable(&error))?;
        let block = block.ok_or_else(|| Status::internal("the last accepted block is missing"))?;
        let header = &block.block().header;
        Ok(LastAccepted {
            id: block.block().id().0.0.to_vec(),
            parent_id: header.parent.0.0.to_vec(),
            height: height.0,
            timestamp: wire_time(header.timestamp),
            bytes: block.to_bytes(),
        })
    }
}
