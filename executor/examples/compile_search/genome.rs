//! What the search varies of a module, and how: numbers that a module is drawn by.

use types::testing::Random;

use crate::operators::OPERATORS;

/// Kinds of statements.
pub const KINDS: usize = 24;
/// Lists of a module beside its functions: imports, exports, function references in tables, globals, data segments, types.
pub const LISTS: usize = 6;
/// Most operators that expressions are drawn from.
const PALETTE: usize = 6;

/// What a module is drawn by. Modules of equal genomes are equal.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
pub struct Genome {
    /// Seed of all choices that nothing else makes.
    pub seed: u64,
    /// Bytes of all functions together.
    pub bytes: u32,
    /// Functions that share them.
    pub functions: u32,
    /// Parameters of the functions, by type.
    pub parameters: [u16; 5],
    /// Their results.
    pub results: u8,
    /// Their locals, by type.
    pub locals: [u16; 5],
    /// Weights of the kinds of statements.
    pub weights: [u8; KINDS],
    /// Operators that expressions are drawn from, by place in the list of all.
    pub palette: Vec<usize>,
    /// Weights of what expressions begin with: locals, constants, loads, globals, zero.
    pub leaves: [u8; 5],
    /// Most operators from the root of an expression to its leaves.
    pub depth: u8,
    /// Weights of the types of statements.
    pub types: [u8; 5],
    /// Most blocks within one another.
    pub nesting: u16,
    /// Statements of a block, on average.
    pub block: u16,
    /// Targets of a branch table.
    pub targets: u16,
    /// Values that a block with a type of its own takes and leaves.
    pub carried: u8,
    /// Lengths of the module's other lists.
    pub lists: [u32; LISTS],
}

impl Genome {
    /// Anything, of at most so many bytes.
    pub fn random(random: &mut Random, most: u32) -> Self {
        let mut genome = Self {
            seed: random.next_u64(),
            bytes: most.min(30_000),
            functions: 1,
            parameters: [0; 5],
            results: 0,
            locals: [1; 5],
            weights: [0; KINDS],
            palette: vec![],
            leaves: [1, 1, 1, 0, 1],
            depth: 2,
            types: [1; 5],
            nesting: 8,
            block: 8,
            targets: 4,
            carried: 2,
            lists: [0; LISTS],
        };
        for _ in 0..=random.below(3) {
            genome.weights[random.index(KINDS)] = 8;
        }
        for _ in 0..30 {
            genome.change(random, most);
        }
        genome
    }

    /// The genome with one to four changes.
    pub fn mutated(&self, random: &mut Random, most: u32) -> Self {
        let mut genome = self.clone();
        for _ in 0..=random.below(4) {
            genome.change(random, most);
        }
        genome
    }

    fn change(&mut self, random: &mut Random, most: u32) {
        match random.below(18) {
            0 => self.seed = random.next_u64(),
            1 => self.bytes = scaled(self.bytes, random, 500, most),
            2 => self.functions = scaled(self.functions, random, 1, 50_000),
            3 => change_one(&mut self.parameters, random, 200),
            4 => self.results = narrow(random.below(4)),
            5 => change_one(&mut self.locals, random, 4_000),
            6..=8 => {
                let weight = if random.chance(400) {
                    0
                } else {
                    narrow(random.below(64))
                };
                self.weights[random.index(KINDS)] = weight;
            }
            9 | 10 => {
                let new = random.index(OPERATORS.len());
                if self.palette.len() < PALETTE && random.chance(500) {
                    self.palette.push(new);
                } else if !self.palette.is_empty() {
                    let at = random.index(self.palette.len());
                    if random.chance(400) {
                        self.palette.swap_remove(at);
                    } else {
                        self.palette[at] = new;
                    }
                }
            }
            11 => self.leaves[random.index(5)] = narrow(random.below(8)),
            12 => self.depth = narrow(random.below(24)),
            13 => self.types[random.index(5)] = narrow(random.below(4)),
            14 => self.nesting = narrow(1 + wild(random, 10)),
            15 => self.block = narrow(1 + wild(random, 8)),
            16 => {
                self.targets = narrow(1 + wild(random, 12));
                self.carried = narrow(wild(random, 7));
            }
            _ => {
                let list = random.index(LISTS);
                self.lists[list] = if random.chance(500) {
                    0
                } else {
                    narrow(wild(random, 15))
                };
            }
        }
    }
}

/// A number of at most so many bits, small ones as often as large ones.
fn wild(random: &mut Random, bits: u64) -> u64 {
    let most = 1 << random.below(bits);
    random.below(most)
}

fn narrow<T: TryFrom<u64>>(number: u64) -> T {
    T::try_from(number).unwrap_or_else(|_| unreachable!("the bounds fit"))
}

/// A number that is up to four times as large or small.
fn scaled(number: u32, random: &mut Random, least: u32, most: u32) -> u32 {
    let by = u32::try_from(1 + random.below(4)).unwrap_or(1);
    let next = if random.chance(500) {
        number.saturating_mul(by)
    } else {
        number / by
    };
    let jitter = u32::try_from(random.below(u64::from(next / 4 + 2))).unwrap_or(0);
    (next + jitter).clamp(least, most)
}

fn change_one(numbers: &mut [u16; 5], random: &mut Random, most: u64) {
    let at = random.index(5);
    let bits = random.below(13);
    numbers[at] = match bits {
        0 | 1 => 0,
        bits => narrow(random.below(1 << bits).min(most)),
    };
}
