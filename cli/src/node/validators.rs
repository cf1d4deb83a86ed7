//! `gridproof node validators`: the committee as a node sees it, as a table.

use rpc::model::{ValidatorList, ValidatorView};

/// What a cell shows where there is nothing.
const NONE: &str = "-";

/// The table; `now_ms` is the present time in milliseconds since the Unix epoch.
pub fn table(list: &ValidatorList, now_ms: u64) -> String {
    let header = [
        "name",
        "id",
        "stake",
        "last vote",
        "last proposal",
        "missed",
        "address",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(list.validators.iter().map(|view| row(view, now_ms)));
    let since = ago(now_ms, list.since.0);
    format!(
        "{}\nat height {}; votes, proposals and missed views as this node has seen them, since {since}",
        aligned(&rows),
        list.height
    )
}

fn row(view: &ValidatorView, now_ms: u64) -> [String; 7] {
    let name = view.name.clone().unwrap_or_else(|| NONE.to_owned());
    let mark = match (view.own, view.connected) {
        (true, _) => " (this node)",
        (false, true) => "",
        (false, false) => " (not connected)",
    };
    let vote = view
        .last_vote
        .map(|vote| format!("view {}, {}", vote.view, ago(now_ms, vote.at.0)));
    let proposal = view
        .last_proposal
        .map(|block| format!("block {}, {}", block.height, ago(now_ms, block.at.0)));
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    [
        format!("{name}{mark}"),
        view.id.to_string(),
        view.stake.0.to_string(),
        or_none(vote),
        or_none(proposal),
        view.missed.to_string(),
        or_none(view.addresses.first().cloned()),
    ]
}

/// How long ago a time was, in one unit.
pub fn ago(now_ms: u64, then_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(then_ms) / 1_000;
    match seconds {
        0..=119 => format!("{seconds} s ago"),
        120..=7_199 => format!("{} min ago", seconds / 60),
        7_200..=172_799 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Rows with their cells below each other, two spaces between columns.
pub fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use rpc::model::LastVoteView;
    use types::hash::{Address, ValidatorId};
    use types::number::{Height, Stake, Timestamp, View};

    use super::*;

    fn view(id: u8, name: Option<&str>) -> ValidatorView {
        ValidatorView {
            id: ValidatorId(Address([id; 20])),
            name: name.map(str::to_owned),
            stake: Stake(3),
            own: id == 1,
            connected: id == 1,
            last_vote: name.map(|_| LastVoteView {
                view: View(7),
                at: Timestamp(90_000),
            }),
            last_proposal: None,
            missed: 2,
            addresses: Vec::new(),
        }
    }

    #[test]
    fn the_table_names_each_validator_and_says_what_is_missing() {
        let list = ValidatorList {
            height: Height(9),
            since: Timestamp(0),
            validators: vec![view(1, Some("zürich")), view(2, None)],
        };
        let text = table(&list, 100_000);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("name") && lines[0].ends_with("address"));
        assert!(lines[1].contains("zürich (this node)") && lines[1].contains("view 7, 10 s ago"));
        assert!(lines[2].starts_with("- (not connected)"), "{text}");
        assert!(lines[3].starts_with("at height 9;") && lines[3].ends_with("since 100 s ago"));
        let column = |line: &str, word: &str| {
            line.chars().count() - line.split(word).last().unwrap().chars().count()
        };
        assert_eq!(
            column(lines[1], "0101 "),
            column(lines[2], "0202 "),
            "{text}"
        );
    }

    #[test]
    fn times_are_told_in_one_unit() {
        let cases = [
            (0, "0 s ago"),
            (119_999, "119 s ago"),
            (120_000, "2 min ago"),
        ];
        for (ms, words) in cases {
            assert_eq!(ago(ms, 0), words);
        }
        assert_eq!(ago(7_200_000, 0), "2 h ago");
        assert_eq!(ago(200_000_000, 0), "2 days ago");
        assert_eq!(ago(0, 5), "0 s ago", "another clock may be ahead");
    }
}
