import fastify, { type FastifyInstance } from 'fastify'
import type { Stage } from '../sync/stage.ts'

/** The address at which webhooks arrive over HTTP, whether ingress lives or not. */
export class Front {
  /** Nobody answers. */
  isAway = false
  stage: Stage | undefined
  readonly #app: FastifyInstance
  #origin = ''

  private constructor() {
    this.#app = fastify({ logger: false, forceCloseConnections: true })
    this.#app.removeAllContentTypeParsers()
    this.#app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    this.#app.post('/*', async ({ url, headers, body }, reply) => {
      if (this.isAway || this.stage === undefined) return reply.code(502).send()
      // The length of the body is what it is.
      const { 'content-length': _length, 'transfer-encoding': _encoding, ...rest } = headers
      const payload = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
      return reply.code(await this.stage.receive({ url, headers: rest, payload })).send()
    })
  }

  static async open(): Promise<Front> {
    const front = new Front()
    front.#origin = await front.#app.listen({ host: '127.0.0.1', port: 0 })
    return front
  }

  urlOf(source: string): string {
    return `${this.#origin}/webhooks/${source}`
  }

  close(): Promise<void> {
    return this.#app.close()
  }
}
