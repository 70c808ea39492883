/** What the contract suite asks of a stand-in for a provider. For tests only. */
import type { ModelName } from '@tidemark/model'
import type { StreamName, WebhookRequest } from '../connector.ts'
import type { Scripted } from './scriptedServer.ts'

/** What a stand-in answers to one request, a listing's or a point read's alike. */
export type Answer =
  /** A page with at least one record of every model of the stream, followed by another. */
  | 'page'
  | 'last_page'
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
  | 'not_ready'
  | 'not_offered'

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
  readonly stream: StreamName
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
  /** From now on every listing is answered with its records, but those of these streams as what the account may not read. */
  forbid(streams: readonly StreamName[]): void
  /** Requests received since the script was set, without those for tokens. */
  requests(): number
  /** Where the credentials get tokens that expire: answers to the requests for them, as `script`, and how many there were since. Else granted. */
  readonly tokens?: { script(answers: readonly TokenAnswer[]): void; requests(): number }
  /** A genuine webhook of an integration: of the account, of the neighbour, or of {@link STRANGER}. */
  webhook(integrationId: string): WebhookRequest
  /** Where the provider sends records by itself: a genuine webhook with a record of the stream. */
  recordWebhook?(integrationId: string, stream: StreamName): WebhookRequest
  close(): Promise<void>
}

export interface ContractOptions {
  /** `push`: the provider sends records by itself, so there are no pages to follow. Default `pull`. */
  readonly kind?: 'pull' | 'push'
  /** The credentials get tokens that expire. */
  readonly hasTokens?: boolean
}
