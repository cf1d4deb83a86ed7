//! The HTTP interface behind the host's proxy: the same routes as a node's own, below `/ext/bc/CHAIN`.

use rpc_server::PassedRequest;
use tonic::Status;

use super::VmService;
use crate::wire::http::{Element, SimpleRequest, SimpleResponse};

/// What stands before the chain's id or alias in a request's path.
const CHAIN_PATH: &str = "/ext/bc/";

impl VmService {
    pub(super) async fn handle_simple(
        self,
        request: SimpleRequest,
    ) -> Result<SimpleResponse, Status> {
        let headers = request.request_headers.into_iter().flat_map(|header| {
            let name = header.key;
            let values = header.values.into_iter();
            values.map(move |value| (name.clone(), value))
        });
        let passed = PassedRequest {
            method: request.method,
            target: own_target(&request.url).to_owned(),
            headers: headers.collect(),
            body: request.body,
        };
        let answer = self.chain()?.api.answer(passed).await;
        let headers = answer.headers.into_iter();
        // The host counts the body itself.
        let headers = headers.filter(|(name, _)| name != "content-length");
        let headers = headers.map(|(name, value)| Element {
            key: canonical(&name),
            values: vec![value],
        });
        Ok(SimpleResponse {
            code: i32::from(answer.status),
            headers: headers.collect(),
            body: answer.body,
        })
    }
}

/// The target without the path of the chain: whatever id or alias it names, the host has found us by it.
fn own_target(url: &str) -> &str {
    let Some(rest) = url.strip_prefix(CHAIN_PATH) else {
        return url;
    };
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// A header's name as Go writes it, and looks it up.
fn canonical(name: &str) -> String {
    let mut first = true;
    let letters = name.chars().map(|letter| {
        let upper = std::mem::replace(&mut first, letter == '-');
        if upper {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        }
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chains_path_is_taken_away() {
        let id = "2tpr5WXYxyuTU6bRGvqK7Gz5Lra5nXm7cvpqWVPLEvZUcCq3WL";
        assert_eq!(
            own_target(&format!("/ext/bc/{id}/v1/status?x=1")),
            "/v1/status?x=1"
        );
        assert_eq!(own_target("/ext/bc/grid/livez"), "/livez");
        assert_eq!(own_target("/v1/status"), "/v1/status");
        assert_eq!(own_target("/ext/bc/grid"), "/");
        assert_eq!(own_target("nonsense"), "nonsense");
    }

    #[test]
    fn names_are_written_as_go_looks_them_up() {
        assert_eq!(canonical("content-type"), "Content-Type");
        assert_eq!(canonical("ETAG"), "Etag");
    }
}
