import { TidemarkError } from '@tidemark/base'
import { type ConfigInput, configPath, readConfigText } from '../config.ts'
import { parseYaml, valuesOf } from '../configDocument.ts'
import { isPlain } from '../configTexts.ts'
import type { CommandContext, CommandResult } from '../program.ts'
import {
  KEY_VARIABLE,
  type Keyring,
  newSecretKey,
  OLD_KEYS_VARIABLE,
  openKeyring,
  parseSecretKey,
} from '../secrets/keys.ts'
import { readSecret } from '../secrets/readSecret.ts'
import { replaceFile } from '../secrets/replaceFile.ts'
import { type Rewritten, rewriteValues } from '../secrets/rewrite.ts'
import { isSealed, keyIdOf, seal, unseal } from '../secrets/sealed.ts'
import { secretValues } from '../secrets/secretKeys.ts'

type FileFlags = Pick<ConfigInput['flags'], 'config'>

/** Prints a new key for TIDEMARK_SECRET_KEY; nothing keeps it. */
export function secretKeyCommand({ print, note, style, secureRandom }: CommandContext): number {
  const key = newSecretKey(secureRandom)
  note(style.dim(`the key ${parseSecretKey(key, KEY_VARIABLE).id}, for ${KEY_VARIABLE}; it is shown only now.`))
  note(style.dim('Keep it where your secrets are kept: without it nothing that it sealed can be read.'))
  print(key)
  return 0
}

/** Seals a value from standard input and prints what to write into the configuration. */
export async function secretSealCommand({ io, print, secureRandom, signal }: CommandContext): CommandResult {
  // A missing key is told before anything is typed.
  const { current } = openKeyring(io.env)
  const prompt = (text: string): void => void io.stderr.write(text)
  print(seal(await readSecret(io.stdin ?? process.stdin, { prompt, signal }), current, secureRandom))
  return 0
}

/** Seals every sealed value of the file again, with the current key; those that it sealed already stay. */
export function secretResealCommand(context: CommandContext, flags: FileFlags): number {
  const keyring = openKeyring(context.io.env)
  const { current } = keyring
  const replace = (value: string): string | undefined => {
    if (!isSealed(value)) return undefined
    const text = unseal(value, keyring)
    return keyIdOf(value) === current.id ? undefined : seal(text, current, context.secureRandom)
  }
  const { keys, path } = rewriteFile(context, flags, keyring, () => replace)
  context.note(
    keys.length === 0
      ? `${path}: nothing to do: what is sealed there is sealed with the key ${current.id}`
      : `${path}: sealed with the key ${current.id}: ${keys.join(', ')}. ${OLD_KEYS_VARIABLE} is needed no more for this file.`,
  )
  return 0
}

/** Seals the secrets that stand in the file as plain text. */
export function secretSealFileCommand(context: CommandContext, flags: FileFlags): number {
  const keyring = openKeyring(context.io.env)
  const { current } = keyring
  const { keys, path } = rewriteFile(context, flags, keyring, (values) => {
    const secrets = new Set(secretValues(values).map(({ key }) => key))
    return (value, key) =>
      value !== '' && isPlain(value) && secrets.has(key) ? seal(value, current, context.secureRandom) : undefined
  })
  context.note(
    keys.length === 0
      ? `${path}: nothing to do: no secret stands there as plain text`
      : `${path}: sealed with the key ${current.id}: ${keys.join(', ')}. Copies, backups and a repository may hold the plain text.`,
  )
  return 0
}

type Replace = (value: string, key: string) => string | undefined

/** Rewrites the configuration file in place, if anything of it is to be replaced. */
function rewriteFile(
  { io, secureRandom }: CommandContext,
  flags: FileFlags,
  keyring: Keyring,
  replaceIn: (values: unknown) => Replace,
): Rewritten & { readonly path: string } {
  const path = configPath({ flags, env: io.env })
  if (path === undefined)
    throw new TidemarkError('CONFIG_INVALID', 'there is no configuration: no ./tidemark.yaml; name one with --config')
  const before = readConfigText(path)
  const replace = replaceIn(valuesOf(parseYaml(before, path)))
  const rewritten = rewriteValues(before, { path, replace, unseal: (sealed) => unseal(sealed, keyring) })
  if (rewritten.keys.length > 0) write(path, rewritten.text, secureRandom(6).toString('hex'))
  return { ...rewritten, path }
}

function write(path: string, text: string, suffix: string): void {
  try {
    replaceFile(path, text, suffix)
  } catch (error) {
    throw new TidemarkError('CONFIG_INVALID', `${path} cannot be written: ${(error as Error).message}`, {
      cause: error,
    })
  }
}
