/** Which values of a configuration are secrets: what the connectors say of their options, and what tidemark itself logs in with. */
import type { Config } from '../config.ts'
import { CONNECTORS } from '../runtime/connectors.ts'

/** A secret of a configuration. */
export interface SecretValue {
  /** Name of its key, such as `sources[0].api_key`. */
  readonly key: string
  readonly text: string
  /** What of the text is secret: all, or the password of a URL. */
  readonly secret: string
}

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null

/** Every secret that is there. Takes the values of a file too, before they are known to be right. */
export function secretValues(values: unknown): SecretValue[] {
  if (!isFields(values)) return []
  const sources = Array.isArray(values['sources']) ? (values['sources'] as unknown[]) : []
  const { kafka } = values as { readonly kafka?: unknown }
  const [sasl, tls] = isFields(kafka) ? [kafka['sasl'], kafka['tls']] : []
  return [
    ...sources.flatMap((source, i) => ofSource(source, `sources[${i}]`)),
    ...(isFields(sasl) ? whole('kafka.sasl.password', sasl['password']) : []),
    ...(isFields(tls) ? whole('kafka.tls.key', tls['key']) : []),
    ...(isFields(kafka) ? ofUrl('kafka.registry', kafka['registry']) : []),
    ...ofUrl('postgres', values['postgres']),
  ]
}

function ofSource(source: unknown, at: string): SecretValue[] {
  if (!isFields(source)) return []
  const names = CONNECTORS.get(String(source['connector']))?.secretOptions ?? []
  return names.flatMap((name) => whole(`${at}.${name}`, source[name]))
}

const whole = (key: string, text: unknown): SecretValue[] =>
  typeof text === 'string' && text !== '' ? [{ key, text, secret: text }] : []

/** A URL is a secret when it holds a password. */
function ofUrl(key: string, text: unknown): SecretValue[] {
  const password = typeof text === 'string' ? URL.parse(text)?.password : undefined
  if (typeof text !== 'string' || password === undefined || password === '') return []
  return [{ key, text, secret: decoded(password) }]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A percent sign that encodes nothing stands for itself.
    return text
  }
}

/** Texts that no log line may hold. */
export const secretTexts = (config: Config): string[] => secretValues(config).map(({ secret }) => secret)

/** What is to be said, once, of secrets that stand in the configuration file as they are; names keys and no value. */
export function secretWarnings(config: Config): string[] {
  const { file } = config
  if (!file) return []
  const plain = secretValues(config).filter(({ key }) => file.plain.has(key))
  if (plain.length === 0) return []
  const keys = plain.map(({ key }) => `${key} (line ${file.plain.get(key)})`).join(', ')
  const stands = plain.length === 1 ? 'stands there as plain text' : 'stand there as plain text'
  const advice = `seal what is there with \`tidemark secret seal-file\`, or take it from the environment with \${NAME}`
  const warnings = [`${file.path}: ${keys} ${stands}; ${advice}`]
  if (file.isWorldReadable)
    warnings.push(`${file.path}: every user of this machine may read these secrets; chmod 600 ends that`)
  return warnings
}
