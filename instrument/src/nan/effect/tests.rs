//! The table of operators against the parser's list of them.

use wasmparser::{BlockType, HeapType, Ieee32, Ieee64, MemArg, RefType, ValType};

use super::*;

/// Operators that the walk through a function knows itself.
const WALKED: [&str; 19] = [
    "Unreachable",
    "Block",
    "Loop",
    "If",
    "Else",
    "End",
    "Br",
    "BrIf",
    "BrTable",
    "Return",
    "Call",
    "CallIndirect",
    "Drop",
    "Select",
    "TypedSelect",
    "TypedSelectMulti",
    "LocalGet",
    "LocalSet",
    "LocalTee",
];

/// Any immediate of a type.
trait Immediate {
    fn any() -> Self;
}

macro_rules! immediates {
    ($($type:ty => $value:expr),* $(,)?) => {
        $(impl Immediate for $type {
            fn any() -> Self {
                $value
            }
        })*
    };
}

immediates! {
    u8 => 0,
    u32 => 0,
    i32 => 0,
    i64 => 0,
    [u8; 16] => [0; 16],
    BlockType => BlockType::Empty,
    MemArg => MemArg { align: 0, max_align: 0, offset: 0, memory: 0 },
    Ieee32 => 0f32.into(),
    Ieee64 => 0f64.into(),
    V128 => V128::from(0i128),
    HeapType => HeapType::FUNC,
    RefType => RefType::FUNCREF,
    ValType => ValType::I32,
    Vec<ValType> => Vec::new(),
}

macro_rules! define_operators {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $type:ty),* })? => $visit:ident ($($arity:tt)*))*) => {
        /// Name, operator and arity of every operator of the class that has one of its own.
        fn operators() -> Vec<(&'static str, Operator<'static>, &'static str)> {
            let mut list: Vec<(&'static str, Operator<'static>, &'static str)> = Vec::with_capacity(600);
            $(define_operators!(of list @$proposal $op { $($($arg: $type),*)? } $($arity)*);)*
            list
        }
    };
    (of $list:ident @mvp $op:ident $args:tt $($arity:tt)*) => { define_operators!(one $list $op $args $($arity)*) };
    (of $list:ident @sign_extension $op:ident $args:tt $($arity:tt)*) => { define_operators!(one $list $op $args $($arity)*) };
    (of $list:ident @saturating_float_to_int $op:ident $args:tt $($arity:tt)*) => { define_operators!(one $list $op $args $($arity)*) };
    (of $list:ident @bulk_memory $op:ident $args:tt $($arity:tt)*) => { define_operators!(one $list $op $args $($arity)*) };
    (of $list:ident @reference_types $op:ident $args:tt $($arity:tt)*) => { define_operators!(one $list $op $args $($arity)*) };
    (of $list:ident @simd $op:ident $args:tt $($arity:tt)*) => { define_operators!(one $list $op $args $($arity)*) };
    (of $list:ident @$proposal:ident $op:ident $args:tt $($arity:tt)*) => {};
    (one $list:ident $op:ident $args:tt arity custom) => {};
    (one $list:ident $op:ident { $($arg:ident: $type:ty),* } $($arity:tt)*) => {
        $list.push((
            stringify!($op),
            Operator::$op { $($arg: <$type as Immediate>::any()),* },
            stringify!($($arity)*),
        ));
    };
}

wasmparser::for_each_operator!(define_operators);

#[test]
fn every_operator_of_the_class_has_an_effect_of_its_arity() {
    let operators = operators();
    assert!(operators.len() > 400, "only {}", operators.len());
    for (name, operator, arity) in operators {
        if WALKED.contains(&name) {
            continue;
        }
        let effect = of(&operator).unwrap_or_else(|| panic!("{name} has no effect"));
        let results = usize::from(effect.gives != Gives::Nothing);
        let own = format!("arity {} -> {results}", effect.operands.len());
        assert_eq!(own, arity, "{name}");
    }
}

/// What the standard lets choose a NaN's bits, by name.
#[test]
fn what_may_choose_bits_is_arithmetic_and_nothing_else_is() {
    const CHOOSE: [&str; 13] = [
        "Add", "Sub", "Mul", "Div", "Min", "Max", "Sqrt", "Ceil", "Floor", "Trunc", "Nearest",
        "Demote", "Promote",
    ];
    let mut found = 0;
    for (name, operator, _) in operators() {
        let chooses = name
            .strip_prefix("F32x4")
            .or_else(|| name.strip_prefix("F64x2"))
            .or_else(|| name.strip_prefix("F32"))
            .or_else(|| name.strip_prefix("F64"))
            .is_some_and(|rest| CHOOSE.iter().any(|verb| rest.starts_with(verb)));
        let arithmetic =
            of(&operator).is_some_and(|effect| matches!(effect.gives, Gives::Arithmetic(..)));
        assert_eq!(arithmetic, chooses, "{name}");
        found += usize::from(chooses);
    }
    // Eleven of each of four kinds; promotion and demotion, of one and of lanes.
    assert_eq!(found, 4 * 11 + 4);
}

#[test]
fn an_operator_of_another_proposal_has_no_effect() {
    for operator in [
        Operator::F32x4RelaxedMadd,
        Operator::RefEq,
        Operator::ThrowRef,
    ] {
        assert_eq!(of(&operator), None);
    }
}
