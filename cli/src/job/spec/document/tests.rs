//! Scalars keep their text whatever a schema would make of it, and values know their lines.

use super::*;

/// The items of a list of scalars.
fn scalars(source: &str) -> Vec<String> {
    let list = read::<Vec<Scalar>>(source).unwrap_or_else(|error| panic!("{source:?}: {error}"));
    list.value.into_iter().map(|item| item.value).collect()
}

#[test]
fn numbers_keep_their_spelling_and_values_their_lines() {
    let entries: Entries =
        read("a: 0.10\nb: 1_000\nc:\n  \"7\"\nd: 0x10\ne: 18446744073709551616\n").unwrap();
    let seen: Vec<_> = entries
        .value
        .iter()
        .map(|(key, item)| (key.as_str(), item.value.as_str(), item.referenced.line()))
        .collect();
    let expected = [
        ("a", "0.10", 1),
        ("b", "1_000", 2),
        ("c", "7", 4),
        ("d", "0x10", 5),
        ("e", "18446744073709551616", 6),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn scalars_keep_their_text_whatever_a_schema_would_make_of_it() {
    let texts = [
        "y",
        "Y",
        "n",
        "yes",
        "No",
        "NO",
        "on",
        "Off",
        "off",
        "true",
        "True",
        "TRUE",
        "false",
        "False",
        "0x10",
        "0o17",
        "007",
        "1e3",
        "1E3",
        "+1",
        "-0",
        "1_000",
        "0b1",
        "1.",
        ".5",
        "-.inf",
        ".NaN",
        "nan",
        "0.10",
        "12:30:45",
        "2020-01-01",
        "18446744073709551616",
        "=",
        "<<",
        "null0",
        "nULl-",
    ];
    for text in texts {
        let expected = vec![text.to_owned(); 2];
        for source in [
            format!("[{text}, {text}]"),
            format!("[ {text} , {text} ]"),
            format!("- {text}\n- {text} # a comment\n"),
            format!("- {text}\r\n- {text}\r\n"),
            format!("# größer ✓\n- {text}\n- {text}"),
            format!("\u{feff}- {text}\n- {text}"),
            format!("- \"{text}\"\n- '{text}'\n"),
            format!("- &a {text}\n- *a\n"),
        ] {
            assert_eq!(scalars(&source), expected, "{source:?}");
        }
    }
}

#[test]
fn keys_keep_their_text_too() {
    for text in [
        "y",
        "No",
        "on",
        "True",
        "0x10",
        "007",
        "1e3",
        "1.0",
        "2020-01-01",
    ] {
        let entries: Entries = read(&format!("{text}: 1\n")).unwrap();
        assert_eq!(entries.value.keys().collect::<Vec<_>>(), [text]);
    }
}

#[test]
fn only_an_unquoted_null_is_nothing() {
    for text in ["~", "null", "Null", "NULL", ""] {
        let list: Spanned<Vec<Option<Scalar>>> = read(&format!("- {text}\n- '{text}'\n")).unwrap();
        assert!(list.value[0].is_none());
        assert_eq!(list.value[1].as_ref().unwrap().value, text);
    }
}

#[test]
fn what_is_not_yaml_names_its_line() {
    for source in ["a: [1]\nb: [1, 2\n", "a: [1]\na: [2]\n"] {
        let error = read::<BTreeMap<String, List<String>>>(source).unwrap_err();
        assert_eq!(error.line, 2, "{error}");
        assert!(matches!(error.mistake, Mistake::NotYaml { .. }), "{error}");
    }
}

#[test]
fn what_was_found_is_said_in_every_style() {
    let found = |source: &str| {
        let source = format!("version: gridproof/v1\n{source}\n");
        match read::<SpecDocument>(&source).unwrap_err().mistake {
            Mistake::Expected { found, .. } => found,
            other => panic!("{source:?}: {other}"),
        }
    };
    for source in [
        "name: [a]",
        "name:\n- a",
        "name:\n  - a",
        "tasks: [4]",
        "tasks:\n  - 4",
    ] {
        assert_eq!(found(source), FoundValue::List, "{source:?}");
    }
    for source in [
        "name: {a: b}",
        "name:\n  a: b",
        "inputs: {a: b}",
        "inputs:\n  a: b",
    ] {
        assert_eq!(found(source), FoundValue::Mapping, "{source:?}");
    }
    for source in ["tasks: 4", "tasks: \"4\"", "tasks:\n  '4'"] {
        assert_eq!(
            found(source),
            FoundValue::Scalar("4".to_owned()),
            "{source:?}"
        );
    }
    let long = "x".repeat(61);
    assert_eq!(found(&format!("tasks: {long}")), FoundValue::LongText);
    let nothing = "engine: {type: wasm, params: {module: a, args: [~]}}";
    assert_eq!(found(nothing), FoundValue::Nothing);
}
