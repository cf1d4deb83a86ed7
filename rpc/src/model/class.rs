//! Engine classes in the shapes of the interface.

use serde::{Deserialize, Serialize};
use types::number::{Amount, EngineClass, Height};
use types::params::ClassParams;

/// An engine class of the network, and when jobs of it are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassView {
    /// Number of the class.
    pub class: EngineClass,
    /// The first height whose block may take jobs of it.
    pub from_height: Height,
    /// The first height whose block takes none any more; absent if no end is known.
    pub until_height: Option<Height>,
    /// The lowest admitted speed of a partner, in fuel per millisecond.
    pub min_fuel_per_ms: u64,
    /// The lowest admitted bandwidth of a partner, in bytes per millisecond.
    pub lowest_bytes_per_ms: u64,
    /// Most fuel of a task.
    pub max_task_fuel: u64,
    /// Least price per million units of fuel, in SQUARE.
    pub min_ask: Amount,
}

impl From<&ClassParams> for ClassView {
    fn from(params: &ClassParams) -> Self {
        Self {
            class: params.class,
            from_height: params.from_height,
            until_height: params.until_height,
            min_fuel_per_ms: params.min_fuel_per_ms,
            lowest_bytes_per_ms: params.lowest_bytes_per_ms,
            max_task_fuel: params.max_task_fuel,
            min_ask: params.min_ask,
        }
    }
}

impl From<&ClassView> for ClassParams {
    fn from(view: &ClassView) -> Self {
        Self {
            class: view.class,
            from_height: view.from_height,
            until_height: view.until_height,
            min_fuel_per_ms: view.min_fuel_per_ms,
            lowest_bytes_per_ms: view.lowest_bytes_per_ms,
            max_task_fuel: view.max_task_fuel,
            min_ask: view.min_ask,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::params::Params;

    #[test]
    fn a_class_comes_back_as_it_was() {
        for mut params in Params::devnet().compute.classes {
            params.until_height = Some(Height(9));
            assert_eq!(ClassParams::from(&ClassView::from(&params)), params);
        }
    }
}
