//! Which codes of errors name what passes by itself: the same may succeed later without a change.

/// Codes of this program and of the chain that may be tried again as they are. Those of connections and of servers say it
/// themselves.
const PASSING: &[&str] = &[
    // Of commands.
    "no_connection",
    "not_drained",
    "not_final",
    "not_ready",
    "not_settled",
    "pending",
    "signer_away",
    // Of the chain.
    "bond_locked",
    "class_not_yet_open",
    "no_room",
    "no_room_to_challenge",
    "primary_not_revealed",
    "queue_too_long",
    "renewed_too_soon",
    "sortition_not_open",
    "states_awaited",
    "too_many_jobs",
    "too_many_jobs_of_customer",
    "too_many_unbondings",
];

/// True if what a code names passes by itself.
pub fn passes(code: &str) -> bool {
    PASSING.contains(&code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::failure::CommandFailure;
    use crate::submit::failure;
    use rpc::client::UrlRule;
    use rpc::{ClientError, ErrorBody};

    const PAGE: &str = include_str!("../../docs/errors.md");

    /// The rows of the table below a heading, each as its cells.
    fn rows(heading: &str) -> Vec<Vec<&'static str>> {
        let section = PAGE.split(&format!("\n## {heading}\n")).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| {
            row.split(" | ")
                .map(|cell| cell.trim_matches(['|', ' ', '`']))
                .collect()
        })
        .collect()
    }

    #[test]
    fn the_page_says_what_may_be_tried_again() {
        let mut listed = BTreeSet::new();
        for (heading, column) in [("Commands", 2), ("The chain", 1)] {
            for row in rows(heading) {
                let again = if passes(row[0]) { "yes" } else { "no" };
                assert_eq!(row[column], again, "{heading}: {}", row[0]);
                listed.insert(row[0]);
            }
        }
        let unknown: Vec<_> = PASSING
            .iter()
            .filter(|code| !listed.contains(*code))
            .collect();
        assert!(unknown.is_empty(), "codes that nothing has: {unknown:?}");
    }

    fn of_connections() -> Vec<ClientError> {
        let (url, path, reason) = (String::new, String::new, String::new);
        vec![
            ClientError::Url {
                url: url(),
                rule: UrlRule::Parses,
            },
            ClientError::NoClient {
                urls: url(),
                reason: reason(),
            },
            ClientError::NoConnection {
                url: url(),
                reason: reason(),
            },
            ClientError::Broken {
                url: url(),
                path: path(),
                reason: reason(),
            },
            ClientError::Timeout {
                url: url(),
                path: path(),
                seconds: 1,
            },
            ClientError::TooLarge {
                url: url(),
                path: path(),
                limit: 1,
            },
            ClientError::Malformed {
                url: url(),
                path: path(),
                reason: reason(),
            },
            ClientError::WaitedTooLong {
                what: String::new(),
                seconds: 1,
            },
        ]
    }

    #[test]
    fn the_page_says_how_a_broken_connection_ends_a_command() {
        let ended = of_connections().into_iter().map(failure);
        let found: Vec<_> = ended
            .map(|failure: CommandFailure| {
                let again = if failure.retryable { "yes" } else { "no" };
                (
                    failure.code,
                    failure.kind.code().to_string(),
                    again.to_owned(),
                )
            })
            .collect();
        let listed: Vec<_> = rows("Connections")
            .iter()
            .map(|row| (row[0].to_owned(), row[1].to_owned(), row[2].to_owned()))
            .collect();
        assert_eq!(listed, found);
    }

    #[test]
    fn a_refusal_of_a_server_keeps_what_the_server_says() {
        for retryable in [true, false] {
            let body = ErrorBody {
                code: "busy".to_owned(),
                retryable,
                message: String::new(),
                hint: String::new(),
                expected_nonce: None,
                retry_after_ms: None,
            };
            let refused = ClientError::Refused {
                url: String::new(),
                path: String::new(),
                status: 503,
                body: Box::new(body),
            };
            assert_eq!(failure(refused).retryable, retryable);
        }
    }
}
