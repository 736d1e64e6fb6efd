//! The certificates that listeners show.

use super::{Gives, Operation, ROW, Shape, json};
use crate::report::CertificateReport;

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    path: "/api/v1/certificates",
    id: "listCertificates",
    noun: "certificates",
    doc: "The certificates that listeners show, by listener: what they are for, who issued them, and until when they hold.",
    gives: Gives::Json(Shape::of::<Vec<CertificateReport>>()),
    run: |call| Box::pin(async move { Ok(json(&call.control.status().await.certificates)) }),
    ..ROW
}];
