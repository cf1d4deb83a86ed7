//! Words for people, in every crate's messages.

use std::fmt::Display;

/// A number with its noun, in the plural unless it is one: `1 view`, `2 views`, `0 duties`.
#[must_use]
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    let is_one = number == N::from(1);
    let stem = noun.strip_suffix('y').filter(|stem| {
        let before = stem.chars().next_back();
        before.is_some_and(|letter| !"aeiou".contains(letter))
    });
    match stem {
        _ if is_one => format!("{number} {noun}"),
        Some(stem) => format!("{number} {stem}ies"),
        None if noun.ends_with("ss") => format!("{number} {noun}es"),
        None => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_told_in_the_singular() {
        let cases = [
            (1, "view", "1 view"),
            (0, "view", "0 views"),
            (2, "duty", "2 duties"),
            (2, "key", "2 keys"),
            (3, "process", "3 processes"),
        ];
        for (number, noun, words) in cases {
            assert_eq!(counted(number, noun), words);
        }
        assert_eq!(counted(1usize, "peer"), "1 peer");
    }
}
