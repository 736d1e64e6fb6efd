//! One order: from an account to a certificate, by what an authority is shown on the way.
//!
//! The invariant: what the authority is shown is taken away again, however the order ends.

use std::time::Duration;

use evenkeel_model::config::AcmeChallenge;
use evenkeel_net::resolve::Resolver;
use evenkeel_net::tls::{Certificate, Connector, ConnectorOptions, TlsVersion, Trust};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error, Identifier,
    NewAccount, NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use tokio::time::timeout;

use super::board::Board;
use super::client::Asking;
use super::kept::{self, Papers};
use super::plan::{Failure, Window};
use super::{Key, bound, client};
use crate::certificates::read_chain;
use crate::state::State;

/// How long the authority may take to look, and to sign.
const LOOKING: Duration = Duration::from_secs(180);

/// How long an order may take in all.
const PATIENCE: Duration = Duration::from_secs(900);

/// The kind of problem of an account that an authority does not know, or no more (RFC 8555 section 6.7).
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// Orders for one job.
pub(super) struct Orders {
    pub(super) key: Key,
    pub(super) board: Board,
    pub(super) state: State,
    pub(super) resolver: Resolver,
}

/// Why nothing came of an order.
pub(super) struct Failed {
    pub(super) cause: String,
    pub(super) failure: Failure,
    /// How long the authority says to wait.
    pub(super) wait: Option<Duration>,
}

/// When an authority wants a certificate renewed, and when it wants to be asked again.
pub(super) struct Advice {
    pub(super) window: Window,
    pub(super) again: Duration,
}

impl Orders {
    /// Orders a certificate, in place of the one that is there. The account is made where there is none yet, and kept.
    pub(super) async fn order(&self, before: Option<&Certificate>) -> Result<Papers, Failed> {
        let refused = |cause: String| Failed { cause, failure: Failure::Refused, wait: None };
        let connector = self.connector().map_err(refused)?;
        let (asking, mut http) = client::pair(connector, self.resolver.clone());
        let made = http.serve(timeout(PATIENCE, self.fulfil(&asking, before))).await;
        self.board.clear(&self.key).await;
        let cause = match made {
            Ok(Ok(papers)) => return Ok(papers),
            Ok(Err(cause)) => cause,
            Err(_) => format!("the authority has not come to an end within {} s", PATIENCE.as_secs()),
        };
        let failure = if http.seen.is_unreached { Failure::Unreached } else { Failure::Refused };
        Err(Failed { cause, failure, wait: http.seen.wait })
    }

    /// When the authority wants a certificate renewed; `None` where it does not say.
    pub(super) async fn advice(&self, certificate: &Certificate) -> Option<Advice> {
        let id = certificate.renewal_id()?;
        let (credentials, _) = self.kept_account()?;
        let (asking, mut http) = client::pair(self.connector().ok()?, self.resolver.clone());
        let asked = async {
            let account = Account::builder_with_http(Box::new(asking)).from_credentials(credentials).await?;
            account.renewal_info(&identifier(&id)?).await
        };
        match http.serve(timeout(PATIENCE, asked)).await.ok()? {
            Ok((info, again)) => {
                let unix = |at: i64| u64::try_from(at).unwrap_or(0);
                let window = info.suggested_window;
                let (start, end) = (unix(window.start.unix_timestamp()), unix(window.end.unix_timestamp()));
                Some(Advice { window: Window { start, end }, again })
            }
            Err(error) => {
                tracing::debug!(
                    "{} does not say when to renew for {}: {}",
                    self.key.directory,
                    self.key,
                    words(&error)
                );
                None
            }
        }
    }

    async fn fulfil(&self, asking: &Asking, before: Option<&Certificate>) -> Result<Papers, String> {
        let (mut account, known) = self.account(asking, None).await?;
        let mut begun = self.begin(&account, before).await;
        if let Err(Error::Api(problem)) = &begun
            && is(problem, NO_ACCOUNT)
        {
            // It has forgotten us, or was set up anew.
            (account, _) = self.account(asking, Some(&known)).await?;
            begun = self.begin(&account, before).await;
        }
        let mut order = begun.map_err(|error| words(&error))?;
        self.prove(&mut order).await?;
        let policy = RetryPolicy::default().timeout(LOOKING);
        match order.poll_ready(&policy).await {
            Ok(OrderStatus::Ready) => {}
            Ok(_) => return Err(refusal(&mut order, None).await),
            Err(error @ Error::Api(_)) => return Err(refusal(&mut order, Some(words(&error))).await),
            Err(error) => return Err(words(&error)),
        }
        let (key, request) = Certificate::request(&self.key.hosts).map_err(|error| error.to_string())?;
        order.finalize_csr(&request).await.map_err(|error| words(&error))?;
        let chain = order.poll_certificate(&policy).await.map_err(|error| words(&error))?;
        Ok(Papers { chain, key })
    }

    /// The account with the authority, and what is kept of it: the one that is there, or a new one in the place of one that
    /// the authority does not know. Jobs that begin together get the same.
    async fn account(&self, asking: &Asking, unknown: Option<&[u8]>) -> Result<(Account, Vec<u8>), String> {
        if let Some(known) = self.known_account(asking, unknown).await? {
            return Ok(known);
        }
        let accounts = self.board.accounts(&self.key.directory);
        let _alone = accounts.acquire().await.map_err(|error| error.to_string())?;
        // Another job may have made one meanwhile.
        match self.known_account(asking, unknown).await? {
            Some(known) => Ok(known),
            None => self.make_account(asking).await,
        }
    }

    /// The account that is kept, unless that is the unknown one.
    async fn known_account(
        &self,
        asking: &Asking,
        unknown: Option<&[u8]>,
    ) -> Result<Option<(Account, Vec<u8>)>, String> {
        let known = self.kept_account().filter(|(_, kept)| Some(kept.as_slice()) != unknown);
        let Some((credentials, kept)) = known else { return Ok(None) };
        let builder = Account::builder_with_http(Box::new(asking.clone()));
        let account = builder.from_credentials(credentials).await.map_err(|error| words(&error))?;
        Ok(Some((account, kept)))
    }

    async fn make_account(&self, asking: &Asking) -> Result<(Account, Vec<u8>), String> {
        let contact = format!("mailto:{}", self.key.mail);
        let new =
            NewAccount { contact: &[contact.as_str()], terms_of_service_agreed: true, only_return_existing: false };
        let binding = self.key.binding.as_ref().map(bound::key).transpose()?;
        let builder = Account::builder_with_http(Box::new(asking.clone()));
        let created = builder.create(&new, self.key.directory.clone(), binding.as_ref()).await;
        let (account, credentials) = created.map_err(|error| words(&error))?;
        let bytes = serde_json::to_vec(&credentials).map_err(|error| error.to_string())?;
        if !kept::keep_account(&self.state, &self.key, &bytes) {
            tracing::warn!("the account with {} is not kept: the next order makes another one", self.key.directory);
        }
        Ok((account, bytes))
    }

    /// The account that is kept, read and as it stands there.
    fn kept_account(&self) -> Option<(AccountCredentials, Vec<u8>)> {
        let kept = kept::account(&self.state, &self.key)?;
        Some((serde_json::from_slice(&kept).ok()?, kept))
    }

    /// Begins the order, and says which certificate it replaces, where the authority wants to know.
    async fn begin(&self, account: &Account, before: Option<&Certificate>) -> Result<Order, Error> {
        let names: Vec<Identifier> = self.key.hosts.iter().map(|host| Identifier::Dns(host.clone())).collect();
        let replaced = before.and_then(Certificate::renewal_id);
        if let Some(Ok(replaced)) = replaced.as_deref().map(identifier) {
            match account.new_order(&NewOrder::new(&names).replaces(replaced)).await {
                Err(Error::Api(problem)) if is(&problem, NO_ACCOUNT) || is_limit(&problem) => {
                    return Err(Error::Api(problem));
                }
                // It knows nothing of that, or of that certificate; an order is an order all the same.
                Err(_) => {}
                Ok(order) => return Ok(order),
            }
        }
        account.new_order(&NewOrder::new(&names)).await
    }

    /// Shows the authority what it wants to see, for each host that it does not believe yet.
    async fn prove(&self, order: &mut Order) -> Result<(), String> {
        let Key { challenge, directory, .. } = &self.key;
        let kind = match challenge {
            AcmeChallenge::Http => ChallengeType::Http01,
            AcmeChallenge::Alpn => ChallengeType::TlsAlpn01,
            AcmeChallenge::Dns => ChallengeType::Dns01,
        };
        let mut all = order.authorizations();
        while let Some(next) = all.next().await {
            let mut authorization = next.map_err(|error| words(&error))?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let host = match authorization.identifier().identifier {
                Identifier::Dns(host) => host.clone(),
                other => return Err(format!("the authority asks for {other:?}, which was not ordered")),
            };
            let shown = authorization.challenge(kind.clone()).ok_or_else(|| {
                let challenge = challenge.as_str();
                format!("{directory} does not take `challenge={challenge}` for `{host}`; write another one")
            })?;
            let proof = shown.key_authorization();
            match challenge {
                AcmeChallenge::Http => self.board.tell(&self.key, &shown.token, proof.as_str()),
                AcmeChallenge::Alpn => self.board.present(&self.key, &host, proof.digest().as_ref()).await?,
                AcmeChallenge::Dns => self.board.answer(&self.key, &host, &proof.dns_value()).await?,
            }
        }
        self.board.show_everywhere().await;
        // It was asked about all of them already, and is not again.
        let mut all = order.authorizations();
        while let Some(next) = all.next().await {
            let mut authorization = next.map_err(|error| words(&error))?;
            if authorization.status == AuthorizationStatus::Pending
                && let Some(mut shown) = authorization.challenge(kind.clone())
            {
                shown.set_ready().await.map_err(|error| words(&error))?;
            }
        }
        Ok(())
    }

    /// Whom to believe to be the authority.
    fn connector(&self) -> Result<Connector, String> {
        let trust = match &self.key.ca {
            None => Trust::of_system()?,
            Some(path) => Trust::Roots(read_chain(path)?),
        };
        let protocols = vec![b"http/1.1".to_vec()];
        Connector::new(ConnectorOptions { trust, min: TlsVersion::Tls12, identity: None, protocols })
    }
}

/// A certificate's name, as [`Certificate::renewal_id`] gives it.
fn identifier(id: &str) -> Result<CertificateIdentifier<'_>, Error> {
    let (authority, serial) = id.split_once('.').ok_or(Error::Str("the certificate's authority"))?;
    Ok(CertificateIdentifier { authority_key_identifier: authority.into(), serial: serial.into() })
}

fn is(problem: &Problem, kind: &str) -> bool {
    problem.r#type.as_deref() == Some(kind)
}

fn is_limit(problem: &Problem) -> bool {
    is(problem, "urn:ietf:params:acme:error:rateLimited")
}

/// Why the authority did not believe us, in its words.
async fn refusal(order: &mut Order, known: Option<String>) -> String {
    let mut lines = Vec::new();
    let mut all = order.authorizations();
    while let Some(next) = all.next().await {
        let Ok(mut authorization) = next else { continue };
        let Ok(state) = authorization.refresh().await else { continue };
        let problems = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        lines.extend(problems.map(problem_in_words));
    }
    match (lines.is_empty(), known) {
        (false, _) => lines.join("; "),
        (true, Some(known)) => known,
        (true, None) => "the authority does not believe that the hosts are ours, and does not say why".to_owned(),
    }
}

fn problem_in_words(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().unwrap_or_default().rsplit(':').next().unwrap_or_default();
    let mut text = format!("the authority says `{}`", problem.detail.as_deref().unwrap_or("nothing more"));
    if !kind.is_empty() {
        text.push_str(&format!(" ({kind})"));
    }
    for part in &problem.subproblems {
        text.push_str(&format!("; {part}"));
    }
    // What others wrote stays on its line.
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn words(error: &Error) -> String {
    match error {
        Error::Api(problem) => problem_in_words(problem),
        Error::Json(error) => {
            format!("an answer is not one of ACME ({error}); is `directory=` the URL of a directory?")
        }
        Error::Timeout(_) => format!("the authority has not come to an end within {} s", LOOKING.as_secs()),
        other => other.to_string(),
    }
}
