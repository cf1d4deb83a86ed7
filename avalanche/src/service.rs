//! The calls that the host makes: each path of `vm.VM` and `http.HTTP` with what answers it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::Service;

use crate::grpc;
use crate::wire::Empty;
use crate::wire::vm::PluginVersion;

/// The VM as the host calls it. Copies are one VM.
#[derive(Debug, Clone)]
pub struct VmService {
    /// Where this process serves.
    address: Arc<str>,
    may_end: Arc<AtomicBool>,
}

impl VmService {
    /// A VM that serves at this address and was not initialised.
    pub fn new(address: String) -> Self {
        Self {
            address: address.into(),
            may_end: Arc::default(),
        }
    }

    /// True once the host has called `Shutdown`.
    pub fn may_end(&self) -> bool {
        self.may_end.load(Ordering::Acquire)
    }

    #[expect(clippy::unused_async, reason = "calls are asynchronous")]
    async fn version(self) -> Result<PluginVersion, Status> {
        Ok(PluginVersion {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    #[expect(clippy::unused_async, reason = "calls are asynchronous")]
    async fn shutdown(self) -> Result<Empty, Status> {
        tracing::debug!(address = %self.address, "shut down by the host");
        self.may_end.store(true, Ordering::Release);
        Ok(Empty {})
    }

    async fn serve(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/vm.VM/Version" => grpc::answer(request, |Empty {}| self.version()).await,
            "/vm.VM/Shutdown" => grpc::answer(request, |Empty {}| self.shutdown()).await,
            _ => grpc::unknown_method(),
        }
    }
}

/// The service of the whole process.
pub fn dispatcher(
    vm: VmService,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    tower::service_fn(move |request| vm.clone().serve(request))
}
