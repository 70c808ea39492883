/** What the contract suite asks of a stand-in for a provider. For tests only. */
import type { ModelName } from '@tidemark/model'
import type { StreamName, WebhookRequest } from '../connector.ts'
import type { Scripted } from './scriptedServer.ts'

/** What a stand-in answers to one request, a listing's or a point read's alike. */
export type Answer =
  /** A page with at least one record of every model of the stream, others on each page, followed by another. */
  | 'page'
  | 'last_page'
  /** A page whose next page is itself, whichever is asked for: the same records, and there is more. */
  | 'same_page'
  /** Status 200 and JSON, but not what is documented: a page without its list. */
  | 'no_list'
  /** Status 200 and the JSON `null`. */
  | 'null'
  /** The record that {@link StandIn.pointRead} names. */
  | 'record'
  /** There is no such record, as the provider says it. */
  | 'absent'
  /** A failure that passes. */
  | 'unavailable'
  /** The connection ends within the body. */
  | 'cut'
  /** {@link HTML} with status 200: a login or maintenance page in the provider's place. */
  | 'html'
  /** {@link HTML} with status 404: what a gateway or a wrong host says of anything. */
  | 'html_404'
  /** Come back in {@link RATE_LIMIT_SECONDS}. */
  | 'rate_limited'
  /** The credentials, or the token, are refused. */
  | 'authentication'
  /** Refused for good, for anything else than credentials and permissions (400, say), in words that repeat all of {@link StandIn.secrets}. */
  | 'refused'
  /** The account is not ready to be read: locked, or still being set up. */
  | 'not_ready'
  /** The account does not have this listing, or may not read it: the fetch is no failure. */
  | 'not_offered'

/** Answers that not every provider has. */
export type RareAnswer = 'not_ready' | 'not_offered'

/** What a stand-in answers to a request for a token. */
export type TokenAnswer = 'granted' | 'refused' | 'html'

export const RATE_LIMIT_SECONDS = 7

/** A web page where JSON is expected. */
export const HTML: Scripted = {
  headers: { 'content-type': 'text/html; charset=utf-8' },
  body: '<!doctype html>\n<html><title>Log in</title><body>We are back soon</body></html>',
}

/** An integration that nobody has configured. */
export const STRANGER = 'contract:stranger'

/** A customer's account at the provider. */
export interface Account {
  /** The connector's options for a source that reads it. */
  readonly options: Readonly<Record<string, unknown>>
  readonly integrationId: string
}

/** A record that names others which may not be read. */
export interface Referring {
  /** The listing that shows it; none of {@link StandIn.forbiddable}. */
  readonly stream: StreamName
  readonly model: ModelName
  /** Fields that name records of what is forbidden, with the public ids that they must hold. */
  readonly names: Readonly<Record<string, string>>
}

export interface StandIn extends Account {
  /** The listing that is asked for: one with several pages. */
  readonly stream: StreamName
  /** A row of that listing, or the record of an event, in the provider's own words and with all that is mapped. */
  readonly row: Readonly<Record<string, unknown>>
  /** Answers that the provider does not have: their cases are skipped. Default: it has all. */
  readonly lacks?: readonly RareAnswer[]
  /** Texts of the options that must never be seen in a page. */
  readonly secrets: readonly string[]
  /**
   * Another customer's account with the same records under the same remote ids. Options that are this account's are those of one source with two
   * integrations.
   */
  readonly neighbour: Account
  /** A record that can be asked for by its key; null where {@link Source.pointReads} is. */
  readonly pointRead: { readonly model: ModelName; readonly remoteKey: string } | null
  /** Listings that can be forbidden while the others are allowed, each with words that tell a reader which permission is missing. */
  readonly forbiddable: Readonly<Record<StreamName, string>>
  readonly referring: Referring
  /** Answers to the next requests in this order; the last one is repeated. */
  script(answers: readonly Answer[]): void
  /**
   * From now on every listing, and every read of a single record that a listing shows, is answered with what there is: at least one record of each of its
   * models. Those of these streams are answered as what the account may not read.
   */
  forbid(streams: readonly StreamName[]): void
  /** From now on the stream is one page of exactly these, which may be anything that JSON can say. Not where the provider sends records by itself. */
  serve?(rows: readonly unknown[]): void
  /** Requests received since the script was set, without those for tokens. */
  requests(): number
  /** Where the credentials get tokens that expire: answers to the requests for them, as `script`, and how many there were since. Else granted. */
  readonly tokens?: { script(answers: readonly TokenAnswer[]): void; requests(): number }
  /**
   * Genuine webhooks of an integration, of the account, of the neighbour, or of {@link STRANGER}: one of every type of event that is
   * understood. Empty: the provider sends none.
   */
  webhooks(integrationId: string): readonly WebhookRequest[]
  /** Where the provider sends records by itself: a genuine webhook with a record of the stream, or with this one. */
  recordWebhook?(integrationId: string, stream: StreamName, row?: unknown): WebhookRequest
  close(): Promise<void>
}

export interface ContractOptions {
  /** `push`: the provider sends records by itself, so there are no pages to follow. Default `pull`. */
  readonly kind?: 'pull' | 'push'
  /** The credentials get tokens that expire. */
  readonly hasTokens?: boolean
}
