/** A source in front of a stand-in for passthrough, fresh for each test. For tests only. */
import { seededRandom } from '@tidemark/base'
import { ManualClock } from '@tidemark/testing'
import { afterEach, beforeEach } from 'vitest'
import type { Connector, Source } from '../connector.ts'
import type { PassthroughAnswer, PassthroughRequest } from '../passthrough.ts'
import type { PassthroughAbilities, PassthroughStandIn } from './passthroughStandIn.ts'
import { drive } from './rig.ts'
import type { Scripted } from './scriptedServer.ts'

export interface PassthroughSent {
  readonly answer: PassthroughAnswer | undefined
  readonly error: unknown
}

interface Circumstances {
  readonly signal?: AbortSignal
  readonly api?: string
  readonly onRetry?: () => void
}

/** What the cases of the suite work with. */
export interface PassthroughRig extends Required<PassthroughAbilities> {
  readonly standIn: PassthroughStandIn
  readonly clock: ManualClock
  /** Answers to the next requests in this order; the last one is repeated. */
  answerWith(...answers: readonly Scripted[]): void
  /** Sends a GET of `/things`, unless told otherwise. */
  send(request: Partial<PassthroughRequest>, circumstances?: Circumstances): Promise<PassthroughSent>
}

/** Registers what makes and closes a stand-in with its source around each test of the suite. */
export function usePassthroughRig(
  connector: Connector,
  start: () => Promise<PassthroughStandIn>,
  abilities: Required<PassthroughAbilities>,
): PassthroughRig {
  let standIn: PassthroughStandIn
  let source: Source
  let clock: ManualClock

  beforeEach(async () => {
    standIn = await start()
    clock = new ManualClock()
    source = connector.create(connector.parseOptions(standIn.options), { clock, random: seededRandom(1) })
  })
  afterEach(async () => {
    await source.close()
    await standIn.close()
  })

  return {
    ...abilities,
    get standIn() {
      return standIn
    },
    get clock() {
      return clock
    },
    answerWith(...answers) {
      standIn.answer = (_request, count) => answers[Math.min(count, answers.length - 1)] as Scripted
    },
    async send(request, { signal = new AbortController().signal, api = standIn.api, onRetry = () => undefined } = {}) {
      const { integrationId, tool } = standIn
      const whole = { method: 'GET', path: '/things', headers: {}, params: {}, ...request } as const
      const full = { responseAsBase64: false, apiOptions: {}, ...whole }
      const work = source.passthrough?.send({ integrationId, tool, api, signal, onRetry, request: full })
      const settled = Promise.resolve(work).then(
        (answer) => ({ answer, error: undefined }),
        (error: unknown) => ({ answer: undefined, error }),
      )
      return drive(clock, settled)
    },
  }
}
