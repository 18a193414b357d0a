export * from './api/errors.ts'
export * from './api/json.ts'
export type {
  AccountEarnings,
  AuditView,
  DealView,
  DelegatedView,
  DepositView,
  EarningsView,
  FileView,
  ForgottenView,
  GatewaysView,
  GrantedView,
  GrantView,
  GroupView,
  MessagePage,
  MessageView,
  NodeEvent,
  NodeView,
  PeerView,
  PenaltyDetails,
  PenaltyView,
  PreviewView,
  PurchaseView,
  PutResult,
  RebuiltView,
  RecomputeView,
  RemovedFile,
  RepairView,
  ServiceView,
  Status as NodeStatus,
  TransactionsView,
  TransactionView,
  VerdictsView,
  VolumeView,
} from './api/node-view.ts'
export * from './api/openapi.ts'
export * from './api/routes.ts'
export * from './api/server.ts'
export * from './api/token.ts'
export * from './chain/backoff.ts'
export * from './chain/chain.ts'
export * from './chain/claims.ts'
export * from './chain/depositor.ts'
export * from './chain/deposits.ts'
export * from './chain/entry.ts'
export * from './chain/mirror.ts'
export * from './chain/operator.ts'
export * from './chain/registration.ts'
export type { AccountOutlook } from './chain/transactions.ts'
export * from './chain/view.ts'
export * from './chain/voter.ts'
export * from './checkpoints/checkpointer.ts'
export * from './checkpoints/work.ts'
export * from './client/arrange.ts'
export * from './client/blocks.ts'
export * from './client/cipher.ts'
export * from './client/client.ts'
export * from './client/delegates.ts'
export * from './client/entrusted.ts'
export * from './client/entrusting.ts'
export * from './client/feed.ts'
export * from './client/file-index.ts'
export * from './client/files.ts'
export * from './client/grant-log.ts'
export * from './client/grant-seal.ts'
export * from './client/grants.ts'
export * from './client/group-health.ts'
export * from './client/placement.ts'
export * from './client/remake.ts'
export * from './client/repair-log.ts'
export * from './client/repairs.ts'
export * from './client/room.ts'
export * from './client/shape.ts'
export * from './client/spool.ts'
export * from './client/upload.ts'
export * from './clock.ts'
export * from './clock-check.ts'
export * from './conformance/case.ts'
export * from './conformance/chain.ts'
export * from './conformance/clock.ts'
export * from './conformance/network.ts'
export * from './conformance/pieces.ts'
export * from './conformance/radio.ts'
export * from './conformance/randomness.ts'
export * from './conformance/store.ts'
export * from './conformance/volume.ts'
export * from './contacts.ts'
export * from './daemon.ts'
export * from './drand.ts'
export * from './founding.ts'
export * from './health.ts'
export * from './issues.ts'
export * from './kinds/coverage/coverage.ts'
export { Measured, PING_PROTOCOL, PINGED_PROTOCOL } from './kinds/coverage/measured.ts'
export { Measurer } from './kinds/coverage/measurer.ts'
export * from './kinds/coverage/purchases.ts'
export * from './kinds/coverage/sales.ts'
export * from './kinds/coverage/trade.ts'
export * from './kinds/kind.ts'
export * from './kinds/storage/agreement.ts'
export * from './kinds/storage/auditor.ts'
export * from './kinds/storage/clients.ts'
export * from './kinds/storage/deal-keys.ts'
export * from './kinds/storage/endings.ts'
export * from './kinds/storage/losses.ts'
export * from './kinds/storage/outlook.ts'
export * from './kinds/storage/payer.ts'
export * from './kinds/storage/proposal.ts'
export * from './kinds/storage/prover.ts'
export * from './kinds/storage/provider.ts'
export * from './kinds/storage/renewals.ts'
export * from './kinds/storage/storage.ts'
export { FETCHES_MAX, Fetches, Stranger } from './kinds/storage/stranger.ts'
export * from './kinds/storage/tab.ts'
export * from './kinds/storage/terms.ts'
export * from './kinds/storage/toll.ts'
export * from './kinds/storage/unwanted.ts'
export { StorageVerifier } from './kinds/storage/verifier.ts'
export * from './ledger/epochs.ts'
export * from './ledger/ingest.ts'
export * from './ledger/ledger.ts'
export * from './ledger/settled-epochs.ts'
export * from './ledger/settlements.ts'
export * from './ledger/standing.ts'
export * from './ledger/sync.ts'
export * from './ledger/waiting.ts'
export * from './manifest.ts'
export * from './metrics.ts'
export * from './network/conduct.ts'
export * from './network/count.ts'
export * from './network/failures.ts'
export * from './network/frame.ts'
export * from './network/identity.ts'
export * from './network/limits.ts'
export * from './network/network.ts'
export * from './network/rate.ts'
export * from './network/reach.ts'
export * from './network/site.ts'
export { STRANGERS_MAX } from './network/strangers.ts'
export * from './node.ts'
export * from './operator-desk.ts'
export * from './pieces/bucket.ts'
export * from './pieces/catalog.ts'
export * from './pieces/directory.ts'
export * from './pieces/hash-pool.ts'
export * from './pieces/hashing.ts'
export * from './pieces/pieces.ts'
export * from './pieces/refusals.ts'
export * from './pieces/scrub.ts'
export * from './pieces/store.ts'
export * from './pieces/transfer.ts'
export * from './pieces/volume.ts'
export * from './pieces/volumes.ts'
export * from './ports.ts'
export * from './radio/admission.ts'
export * from './radio/broker.ts'
export * from './radio/chirpstack.ts'
export * from './radio/duty-cycle.ts'
export * from './radio/gateway.ts'
export * from './radio/gwmp-server.ts'
export * from './radio/heard.ts'
export * from './radio/lorawan.ts'
export * from './radio/mqtt-bridge.ts'
export { type GatewayFacts, lacksOf } from './radio/outlook.ts'
export * from './signer.ts'
export * from './store/closing-mark.ts'
export * from './store/level.ts'
export * from './view.ts'
