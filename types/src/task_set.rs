//! Which tasks a job runs: all of an array, or those of it that it names.
//!
//! A named task keeps the index that it has in the array: in its environment, in its leaf, in its folder of results. The set is
//! kept as bits, so that a job's record stays small whatever it names.

use std::io::{Read, Write};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::{Bounded, invalid};
use crate::limits::MAX_TASKS;
use crate::number::TaskIndex;

/// One bit per task of an array, in bytes.
const MAX_TASK_SET_BYTES: usize = MAX_TASKS.div_ceil(8);

/// The tasks of a job: all of an array, or some of it in ascending order, each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TaskSet {
    /// Number of tasks in the array.
    array: u32,
    /// Bit i % 8 of byte i / 8 stands for task i; `None` is the whole array, which has no other form. The last byte is not 0.
    named: Option<Bounded<u8, MAX_TASK_SET_BYTES>>,
}

/// Why some indices name no tasks of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaskSetError {
    /// There is no index.
    #[error("no task is named")]
    Empty,
    /// An index is not above the one before it.
    #[error("task {0} is not above the one before it")]
    NotAscending(TaskIndex),
    /// The array has no such task.
    #[error("task {index} is not one of an array of {array}")]
    Outside {
        /// The index that was named.
        index: TaskIndex,
        /// Number of tasks in the array.
        array: u32,
    },
    /// The array is longer than one of which tasks can be named.
    #[error("an array of {0} tasks is too long")]
    TooLong(u32),
}

impl TaskSet {
    /// All tasks of an array.
    #[must_use]
    pub const fn all(array: u32) -> Self {
        Self { array, named: None }
    }

    /// Some tasks of an array of at most 1,024, in ascending order, each once.
    // Rule C7.
    pub fn named(array: u32, indices: &[TaskIndex]) -> Result<Self, TaskSetError> {
        let too_long = TaskSetError::TooLong(array);
        if usize::try_from(array).map_or(true, |array| array > MAX_TASKS) {
            return Err(too_long);
        }
        let mut bytes = Vec::new();
        let mut last = None;
        for index in indices {
            if last.is_some_and(|last| last >= *index) {
                return Err(TaskSetError::NotAscending(*index));
            }
            if index.0 >= array {
                let index = *index;
                return Err(TaskSetError::Outside { index, array });
            }
            let (byte, bit) = bit_of(*index);
            bytes.resize(byte + 1, 0);
            if let Some(byte) = bytes.last_mut() {
                *byte |= bit;
            }
            last = Some(*index);
        }
        if bytes.is_empty() {
            return Err(TaskSetError::Empty);
        }
        if indices.len() == usize::try_from(array).unwrap_or(usize::MAX) {
            return Ok(Self::all(array));
        }
        let named = Bounded::new(bytes).map_err(|_| too_long)?;
        Ok(Self {
            array,
            named: Some(named),
        })
    }

    /// Number of tasks in the array, which each task sees as `GRIDPROOF_TASK_COUNT`.
    #[must_use]
    pub fn array(&self) -> u32 {
        self.array
    }

    /// Number of tasks that are run.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.named.as_ref().map_or(self.array, |bytes| {
            bytes.iter().map(|byte| byte.count_ones()).sum()
        })
    }

    /// True if every task of the array is run.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.named.is_none()
    }

    /// True if the task is run.
    #[must_use]
    pub fn contains(&self, index: TaskIndex) -> bool {
        let Some(bytes) = &self.named else {
            return index.0 < self.array;
        };
        let (byte, bit) = bit_of(index);
        bytes.get(byte).is_some_and(|byte| byte & bit != 0)
    }

    /// The tasks that are run, ascending.
    pub fn indices(&self) -> impl Iterator<Item = TaskIndex> + '_ {
        (0..self.array)
            .map(TaskIndex)
            .filter(|index| self.contains(*index))
    }
}

/// The byte and the bit that stand for a task.
fn bit_of(index: TaskIndex) -> (usize, u8) {
    let byte = usize::try_from(index.0 / 8).unwrap_or(usize::MAX);
    (byte, 1 << (index.0 % 8))
}

impl BorshSerialize for TaskSet {
    fn serialize<W: Write>(&self, writer: &mut W) -> std::io::Result<()> {
        self.array.serialize(writer)?;
        self.named.serialize(writer)
    }
}

impl BorshDeserialize for TaskSet {
    fn deserialize_reader<R: Read>(reader: &mut R) -> std::io::Result<Self> {
        let array = u32::deserialize_reader(reader)?;
        let named = Option::<Bounded<u8, MAX_TASK_SET_BYTES>>::deserialize_reader(reader)?;
        let read = Self { array, named };
        if read.is_whole() {
            return Ok(read);
        }
        // The bits are those that the named tasks have, and no others: one set has one form.
        let indices: Vec<_> = read.indices().collect();
        match Self::named(array, &indices) {
            Ok(set) if set == read => Ok(set),
            Ok(_) => Err(invalid("the bits of a task set are not those of its tasks")),
            Err(error) => Err(invalid(&error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};

    fn set(array: u32, indices: &[u32]) -> Result<TaskSet, TaskSetError> {
        let indices: Vec<_> = indices.iter().copied().map(TaskIndex).collect();
        TaskSet::named(array, &indices)
    }

    #[test]
    fn a_set_holds_what_it_names() {
        for (array, indices) in [
            (1_024, vec![0, 7, 8, 1_023]),
            (100, vec![27]),
            (9, vec![8]),
            (2, vec![1]),
        ] {
            let named = set(array, &indices).unwrap();
            let held: Vec<_> = named.indices().map(|index| index.0).collect();
            assert_eq!(held, indices);
            assert_eq!(named.count(), u32::try_from(indices.len()).unwrap());
            assert_eq!((named.array(), named.is_whole()), (array, false));
            assert_eq!(decode::<TaskSet>(&encode(&named), 256).unwrap(), named);
            assert!((0..2_000).all(|i| named.contains(TaskIndex(i)) == indices.contains(&i)));
        }
    }

    #[test]
    fn a_whole_array_has_one_form() {
        let whole = TaskSet::all(9);
        assert_eq!(set(9, &[0, 1, 2, 3, 4, 5, 6, 7, 8]), Ok(whole.clone()));
        assert_eq!((whole.count(), whole.indices().count()), (9, 9));
        assert!(whole.is_whole() && whole.contains(TaskIndex(8)));
        assert!(!whole.contains(TaskIndex(9)));
        let encoded = encode(&(9u32, Some(vec![0xffu8, 0x01])));
        assert!(decode::<TaskSet>(&encoded, 256).is_err());
    }

    #[test]
    fn what_names_no_tasks_of_the_array_is_refused() {
        let outside = TaskSetError::Outside {
            index: TaskIndex(9),
            array: 9,
        };
        assert_eq!(set(9, &[]), Err(TaskSetError::Empty));
        assert_eq!(set(9, &[9]), Err(outside));
        let again = TaskSetError::NotAscending(TaskIndex(3));
        assert_eq!(set(9, &[3, 3]), Err(again));
        assert_eq!(set(9, &[4, 3]), Err(again));
        assert_eq!(set(1_025, &[3]), Err(TaskSetError::TooLong(1_025)));
    }

    #[test]
    fn bits_that_are_no_task_s_are_refused() {
        let bits = |array: u32, bits: &[u8]| {
            decode::<TaskSet>(&encode(&(array, Some(bits.to_vec()))), 256).is_ok()
        };
        assert!(bits(9, &[0b10, 1]));
        for (array, found) in [
            (9, &[][..]),
            (9, &[0]),
            (9, &[1, 0]),
            (9, &[0, 0b10]),
            (9, &[1, 0, 1]),
            (1_025, &[1]),
            (u32::MAX, &[1]),
        ] {
            assert!(!bits(array, found), "{array}: {found:?}");
        }
    }
}
