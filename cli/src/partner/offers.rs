//! `gridproof partner offers`: the market as a partner meets it: who asks what, the price level of each class, and demand.

use rpc::model::{JobList, JobSummary, PartnerList, PartnerView, Status};
use serde_json::{Value, json};
use types::number::{Amount, EngineClass};
use types::words::counted;

use crate::failure::CommandFailure;
use crate::node::validators::aligned;
use crate::submit::{RpcArgs, failure};
use crate::ui::Ui;

/// Shows the offers of all partners, price levels and the jobs that wait.
pub async fn offers(rpc: RpcArgs, ui: Ui) -> Result<(), CommandFailure> {
    let client = rpc.client(ui)?;
    let partners = client.all_partners().await.map_err(failure)?;
    let jobs = client.jobs(true).await.map_err(failure)?;
    let status = client.status().await.map_err(failure)?;
    let levels: Vec<_> = status
        .classes
        .iter()
        .map(|class| (class.class, level(&partners.partners, class.class)))
        .collect();
    let object = json!({
        "height": partners.height,
        "partners": partners.partners.iter().map(offer_object).collect::<Vec<_>>(),
        "levels": levels.iter().map(|(class, level)| json!({ "class": class, "ask": level })).collect::<Vec<_>>(),
        "demand": demand_object(&jobs),
    });
    ui.result(&object, &text(&partners, &jobs, &status, &levels));
    Ok(())
}

fn offer_object(view: &PartnerView) -> Value {
    json!({
        "address": view.address, "name": view.profile.name, "ask": view.profile.ask, "places": view.profile.places,
        "running": view.running, "epoch_bond": view.epoch_bond, "classes": view.profile.classes,
        "attributes": view.profile.attributes,
    })
}

/// The ask at which partners of the class, sorted by ask, first hold half of the class's bond; verifiers' fees follow it.
fn level(partners: &[PartnerView], class: EngineClass) -> Option<Amount> {
    let mut asks: Vec<_> = partners
        .iter()
        .filter(|view| view.profile.classes.contains(&class))
        .filter_map(|view| Some((view.profile.ask, view.epoch_bond?)))
        .collect();
    asks.sort_unstable();
    let total = Amount::sum(asks.iter().map(|(_, bond)| *bond))?;
    let mut held = Amount::ZERO;
    asks.into_iter().find_map(|(ask, bond)| {
        held = held.checked_add(bond)?;
        (held >= total.saturating_sub(held)).then_some(ask)
    })
}

/// Live jobs without a primary, and those with one.
fn demand(jobs: &JobList) -> (Vec<&JobSummary>, usize) {
    let (waiting, under_way): (Vec<_>, Vec<_>) =
        jobs.jobs.iter().partition(|job| job.primary.is_none());
    (waiting, under_way.len())
}

fn demand_object(jobs: &JobList) -> Value {
    let (waiting, under_way) = demand(jobs);
    let caps = Amount::sum(waiting.iter().map(|job| job.price_cap));
    json!({ "waiting": waiting.len(), "under_way": under_way, "waiting_price_caps": caps })
}

fn text(
    partners: &PartnerList,
    jobs: &JobList,
    status: &Status,
    levels: &[(EngineClass, Option<Amount>)],
) -> String {
    let header = [
        "name",
        "partner",
        "ask",
        "places",
        "epoch bond",
        "attributes",
    ];
    let mut views: Vec<_> = partners.partners.iter().collect();
    views.sort_by_key(|view| (view.profile.ask, view.address));
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(views.into_iter().map(row));
    let mut lines = vec![aligned(&rows), String::new()];
    for (class, level) in levels {
        let level = level.map_or_else(
            || "no partner counts in this epoch".to_owned(),
            |ask| format!("{ask} SQUARE per million units of fuel: half of the bond asks that much or less"),
        );
        lines.push(format!("class {class}: price level {level}"));
    }
    let (waiting, under_way) = demand(jobs);
    let caps = Amount::sum(waiting.iter().map(|job| job.price_cap)).unwrap_or_default();
    lines.push(format!(
        "demand: {} without a partner, for up to {caps} SQUARE together; {} under way",
        counted(waiting.len(), "job"),
        counted(under_way, "job")
    ));
    lines.push(format!(
        "asks are per million units of fuel, at height {} of {}",
        partners.height, status.network
    ));
    lines.join("\n")
}

fn row(view: &PartnerView) -> [String; 6] {
    let attributes = view.profile.attributes.iter();
    let attributes: Vec<_> = attributes
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    [
        view.profile.name.to_string(),
        view.address.to_string(),
        view.profile.ask.to_string(),
        format!("{} of {} busy", view.running, view.profile.places),
        view.epoch_bond
            .map_or_else(|| "not in this epoch".to_owned(), |bond| bond.to_string()),
        attributes.join(" "),
    ]
}

#[cfg(test)]
mod tests {
    use types::account::Partner;
    use types::codec::{Bounded, Text};
    use types::hash::Address;
    use types::job::PartnerProfile;
    use types::number::{ChainTime, Height};

    use super::*;

    fn partner(n: u8, ask: u128, bond: Option<u128>) -> PartnerView {
        let profile = PartnerProfile {
            name: Text::new(format!("partner {n}")).unwrap(),
            classes: [EngineClass(2)].into(),
            vrf_key: types::key::VrfPublicKey::default(),
            ask: Amount(ask),
            places: 2,
            attributes: std::collections::BTreeMap::new(),
        };
        let partner = Partner {
            profile,
            bond: Amount(bond.unwrap_or_default()),
            locks: std::collections::BTreeMap::new(),
            unbonding: Bounded::default(),
            verified_fees: Amount::ZERO,
        };
        let address = Address([n; 20]);
        PartnerView::new(address, &partner, bond.map(Amount), ChainTime(0), Height(1))
    }

    #[test]
    fn the_level_is_where_half_of_the_bond_is_reached() {
        let all = [
            partner(1, 5, Some(10)),
            partner(2, 1, Some(4)),
            partner(3, 3, Some(7)),
            partner(4, 0, None),
        ];
        // By ask: 4 at 1, 11 at 3, 21 at 5.
        assert_eq!(level(&all, EngineClass(2)), Some(Amount(3)));
        assert_eq!(level(&all[..1], EngineClass(2)), Some(Amount(5)));
        assert_eq!(level(&all, EngineClass(1)), None);
        assert_eq!(level(&all[3..], EngineClass(2)), None, "nobody counts");
    }
}
