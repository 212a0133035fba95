//! What stayed float, and why.

use std::collections::BTreeMap;

use maud::html;

use super::{Part, shown};
use crate::report::kept::{Document, Kept};
use crate::report::words;

pub(super) fn section(document: &Document) -> Option<Part> {
    if document.kept.is_empty() {
        return None;
    }
    let mut groups: BTreeMap<&str, Vec<&Kept>> = BTreeMap::new();
    document.kept.iter().for_each(|kept| groups.entry(&kept.reason).or_default().push(kept));
    let bytes = |group: &[&Kept]| group.iter().fold(0u64, |sum, kept| sum.saturating_add(kept.bytes));
    let mut groups: Vec<_> =
        groups.into_iter().map(|(reason, group)| (bytes(&group), reason, group)).collect();
    groups.sort_by_key(|(bytes, reason, _)| (std::cmp::Reverse(*bytes), *reason));
    let body = html! {
        p { (words::things(document.kept.len(), "tensor")) " stayed float, by reason, the largest first." }
        @for (bytes, reason, group) in groups {
            details.kept {
                summary { (shown(reason)) " " span.more { (words::things(group.len(), "tensor"))
                    @if bytes > 0 { ", " (words::bytes(bytes)) } } }
                div.wide tabindex="0" role="region" aria-label=(format!("Kept in float: {}", shown(reason))) {
                    table {
                        thead { tr { @for head in ["Tensor", "Operator", "Shape", "Size"] { th scope="col" { (head) } } } }
                        tbody {
                            @for kept in group {
                                tr {
                                    th scope="row" { bdi { (shown(&kept.name)) } }
                                    td { (shown(&kept.operator)) }
                                    td.number { @if !kept.dims.is_empty() { (words::shape(&kept.dims)) } }
                                    td.number { @if kept.bytes > 0 { (words::bytes(kept.bytes)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    Some(Part { id: "float", short: "Float", title: "What stayed float, and why", body })
}
