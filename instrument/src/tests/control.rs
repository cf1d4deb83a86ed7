//! Programs drawn at random that are nothing but control: blocks, loops, conditions, branches, tables, calls and returns, which
//! take a way that the program draws itself as it runs.

use std::fmt::Write as _;

/// Draws numbers from a seed.
pub(super) struct Draws(u64);

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// Draws the next number of the running program and leaves as many of its bits as the mask has.
fn toss(mask: u64) -> String {
    format!(
        "(global.set 0 (i32.add (i32.mul (global.get 0) (i32.const 1664525)) (i32.const 1013904223)))\n\
         (i32.and (i32.shr_u (global.get 0) (i32.const 24)) (i32.const {mask}))\n"
    )
}

/// Statements at `depth` labels, calling functions from `first` up only, so that a call ends.
fn statements(draws: &mut Draws, depth: u64, first: u64, functions: u64, text: &mut String) {
    for _ in 0..=draws.below(4) {
        let can_nest = depth < 7;
        match draws.below(if can_nest { 16 } else { 8 }) {
            0 | 1 => text.push_str("(local.set 0 (i32.add (local.get 0) (i32.const 1)))\n"),
            2 => text.push_str("(memory.fill (i32.const 0) (i32.const 1) (i32.and (local.get 0) (i32.const 63)))\n"),
            3 if first < functions => {
                let callee = first + draws.below(functions - first);
                writeln!(text, "(call {callee})").unwrap();
            }
            4 | 5 if depth > 0 => {
                text.push_str(&toss(3));
                writeln!(text, "i32.eqz br_if {}", draws.below(depth + 1)).unwrap();
            }
            6 if depth > 0 && draws.below(3) == 0 => {
                let target = draws.below(depth);
                let end = ["return".into(), format!("br {target}")];
                writeln!(text, "{}", end[usize::try_from(draws.below(2)).unwrap()]).unwrap();
                return;
            }
            7 if depth > 1 && draws.below(2) == 0 => {
                text.push_str(&toss(3));
                let targets: Vec<String> =
                    (0..4).map(|_| draws.below(depth).to_string()).collect();
                writeln!(text, "br_table {}", targets.join(" ")).unwrap();
                return;
            }
            8 | 9 => nested(draws, "block", depth, first, functions, text),
            10 => {
                text.push_str("loop\n");
                statements(draws, depth + 1, first, functions, text);
                // What ends in a branch leaves this unreached.
                text.push_str(&toss(7));
                text.push_str("i32.const 3\ni32.lt_u\nbr_if 0\nend\n");
            }
            11.. => {
                text.push_str(&toss(1));
                text.push_str("if\n");
                statements(draws, depth + 1, first, functions, text);
                if draws.below(2) == 0 {
                    text.push_str("else\n");
                    statements(draws, depth + 1, first, functions, text);
                }
                text.push_str("end\n");
            }
            _ => text.push_str("nop\n"),
        }
    }
}

fn nested(
    draws: &mut Draws,
    kind: &str,
    depth: u64,
    first: u64,
    functions: u64,
    text: &mut String,
) {
    writeln!(text, "{kind}").unwrap();
    statements(draws, depth + 1, first, functions, text);
    text.push_str("end\n");
}

/// A module of some functions, the first of which is exported.
pub(super) fn program(seed: u64) -> Vec<u8> {
    let mut draws = Draws::new(seed);
    let functions = 1 + draws.below(4);
    let mut text = format!("(module (memory 1) (global (mut i32) (i32.const {seed}))\n");
    for at in 0..functions {
        let export = if at == 0 { "(export \"f\")" } else { "" };
        writeln!(text, "(func {export} (local i32)").unwrap();
        for _ in 0..3 {
            statements(&mut draws, 0, at + 1, functions, &mut text);
        }
        text.push_str(")\n");
    }
    text.push(')');
    wat::parse_str(&text).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"))
}
