//! Tenants, and jobs over many keys.

use serde_json::json;
use tollgate_core::problem::Code;

use super::{filter, paging};
use crate::operation::{Answer, Body, Operation};
use crate::shape::{one_of, query, reference};

pub(super) fn all() -> Vec<Operation> {
    let tenants = || Operation { method: "GET", tag: "tenants", ..Operation::default() };
    let mut of_tenants = paging("tenants");
    of_tenants.push(query("state", &reference("TenantState"), "In this state."));
    let mut of_jobs = paging("jobs");
    of_jobs.push(filter("tenant", "Over keys of this tenant."));
    of_jobs.push(query("state", &one_of(&["running", "done"]), "In this state."));
    vec![
        Operation {
            path: "jobs",
            id: "listJobs",
            summary: "List jobs",
            about: "Newest first; a finished one is listed for 30 days.",
            parameters: of_jobs,
            answers: vec![Answer::ok("A page of jobs.", reference("JobPage"))],
            codes: &[Code::NotFound],
            ..tenants()
        },
        Operation {
            path: "jobs/{id}",
            id: "showJob",
            summary: "Read a job",
            about: "How far it is.",
            answers: vec![Answer::ok("The job.", reference("JobAnswer"))],
            ..tenants()
        },
        Operation {
            path: "tenants",
            id: "listTenants",
            summary: "List tenants",
            about: "By name. A caller that is bound to one tenant sees that one.",
            parameters: of_tenants,
            answers: vec![Answer::ok("A page of tenants.", reference("TenantPage"))],
            ..tenants()
        },
        Operation {
            method: "POST",
            path: "tenants",
            id: "createTenant",
            summary: "Make a tenant",
            about: "For operators. A tenant that nobody makes comes to be with its first key, without \
                bounds.",
            body: Some(Body::json(
                reference("CreateTenant"),
                true,
                &[(
                    "bounded",
                    json!({
                        "name": "globex",
                        "title": "Globex Corporation",
                        "allowed_scopes": ["invoices:*"],
                        "largest_limits": [{ "requests": 600, "window": "1m" }],
                        "max_keys": 100,
                    }),
                )],
            )),
            answers: vec![
                Answer::json(201, "The tenant.", reference("TenantAnswer"))
                    .with_header("Location", true)
                    .with_link("showTenant", "showTenant", "name", "$response.body#/tenant/name")
                    .with_link(
                        "updateTenant",
                        "updateTenant",
                        "name",
                        "$response.body#/tenant/name",
                    )
                    .with_version("updateTenant", "$response.body#/tenant/version"),
            ],
            codes: &[Code::StateConflict, Code::NotGrantable],
            ..tenants()
        },
        Operation {
            path: "tenants/{name}",
            id: "showTenant",
            summary: "Read a tenant",
            about: "With the number of its keys.",
            answers: vec![Answer::ok("The tenant.", reference("TenantAnswer"))],
            ..tenants()
        },
        Operation {
            method: "PATCH",
            path: "tenants/{name}",
            id: "updateTenant",
            summary: "Change a tenant",
            about: "For operators. Suspending one starts a job that switches all of its keys off; \
                resuming it another that switches them on.",
            body: Some(Body::json(
                reference("UpdateTenant"),
                true,
                &[("suspend", json!({ "version": 1, "state": "suspended" }))],
            )),
            answers: vec![Answer::ok("The tenant after the change.", reference("TenantAnswer"))],
            codes: &[Code::VersionConflict, Code::StateConflict, Code::NotGrantable],
            ..tenants()
        },
    ]
}
