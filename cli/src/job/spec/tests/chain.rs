//! Chains: a number of tasks, a state among the outputs, and what they leave no room for.

use super::*;

fn chain(section: &str, rest: &str) -> Result<Spec, SpecError> {
    parse(&format!("{SHORT}tasks: {section}\n{rest}"))
}

#[test]
fn a_chain_names_its_state_among_the_outputs() {
    let spec = chain("{chain: 10, state: [hist]}", "").unwrap();
    assert_eq!(spec.tasks, TaskSet::all(10));
    assert_eq!(spec.state.0.to_vec(), [0]);
    for (section, field, piece) in [
        ("{chain: 1, state: [hist]}", "tasks.chain", "from 2 to 1024"),
        ("{chain: 4}", "tasks", "expected the field state"),
        ("{state: [hist]}", "tasks", "expected the field chain"),
        ("{chain: 4, state: []}", "tasks.state", "names of outputs"),
        ("{chain: 4, state: [x]}", "tasks.state[0]", "of the outputs"),
        ("{chain: 4, state: [hist, hist]}", "tasks.state[1]", "once"),
        ("{chain: 4, array: 4, state: [hist]}", "tasks", "either"),
        ("{chain: 4, indices: [1], state: [hist]}", "tasks", "either"),
    ] {
        let error = chain(section, "").unwrap_err();
        assert_eq!(error.field, field, "{section}");
        assert!(error.to_string().contains(piece), "{section}: {error}");
    }
}

#[test]
fn a_chain_has_a_folder_of_its_own_and_one_value_at_risk() {
    let section = "{chain: 4, state: [hist]}";
    let text = SHORT.replace("/in/data", "/in/state/data");
    let error = parse(&format!("{text}tasks: {section}\n")).unwrap_err();
    assert_eq!(error.field, "inputs[0].target");
    assert!(error.to_string().contains("outside /in/state"), "{error}");
    assert!(parse(&text).is_ok(), "an array has no such folder");
    let lower = "verification: {value_at_risk: 10, task_value_at_risk: 1}\n";
    let error = chain(section, lower).unwrap_err();
    assert_eq!(error.field, "verification.task_value_at_risk");
    assert!(
        error.to_string().contains("value_at_risk, which is 10"),
        "{error}"
    );
    let equal = "verification: {value_at_risk: 10, task_value_at_risk: 10}\n";
    assert!(chain(section, equal).is_ok());
}
