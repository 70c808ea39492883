import { TidemarkError } from '@tidemark/base'
import { getJson, postJson, type Target } from '../client.ts'
import type { CommandContext, CommandResult } from '../program.ts'

interface HeldBody {
  readonly integration_id: string
  readonly source: string
  readonly model: string
  readonly sync_id: string
  readonly held_at: string
  readonly suspects: number
  readonly records: number
}

export interface HeldArguments {
  readonly decision?: string | undefined
  readonly integration?: string | undefined
  readonly model?: string | undefined
}

/**
 * Lists mass deletions that wait for a decision, or decides one. Exit code 0 when the list was printed, or the decision was taken on;
 * 1 when what was named is not held.
 */
export async function heldCommand(
  context: CommandContext,
  target: Target,
  { decision, integration, model }: HeldArguments,
  flags: { readonly json?: boolean },
): CommandResult {
  const { data } = await getJson<{ readonly data: { readonly results: readonly HeldBody[] } }>(target, '/v1/syncs/held')
  if (decision === undefined) {
    list(context, data.results, flags.json === true)
    return 0
  }
  if (decision !== 'confirm' && decision !== 'discard')
    throw new TidemarkError('REQUEST_INVALID', `"${decision}" is no decision; give confirm or discard`)
  const held = data.results.find((each) => each.integration_id === integration && each.model === model)
  if (!held) {
    context.note(`No deletion of ${model ?? '(no model)'} of ${integration ?? '(no integration)'} is held.`)
    list(context, data.results, false)
    return 1
  }
  const body = { integration_id: held.integration_id, model: held.model, sync_id: held.sync_id, decision }
  const answer = await postJson<{ readonly data: object }>(target, '/v1/syncs/held', body, {})
  const n = held.suspects.toLocaleString('en-US')
  if (flags.json) context.print(JSON.stringify(answer.data))
  else if (decision === 'confirm') context.print(`${n} ${held.model} of ${held.integration_id} are being deleted.`)
  else context.print(`The deletion of ${n} ${held.model} of ${held.integration_id} was dropped; nothing is deleted.`)
  return 0
}

function list({ print, style }: CommandContext, held: readonly HeldBody[], isJson: boolean): void {
  if (isJson) print(JSON.stringify(held))
  else if (held.length === 0) print('Nothing is held.')
  for (const { integration_id: id, model, suspects, records, held_at: at, sync_id: sync } of isJson ? [] : held) {
    const share = Math.round((suspects / Math.max(1, records)) * 100)
    print(
      `${style.bold(id)} ${model}: a complete run did not have ${suspects.toLocaleString('en-US')} of ` +
        `${records.toLocaleString('en-US')} records (${share} %); held since ${at} (sync ${sync})`,
    )
    print(style.dim(`  tidemark sync held confirm ${id} ${model}    deletes them`))
    print(style.dim(`  tidemark sync held discard ${id} ${model}    leaves everything as it is`))
  }
}
