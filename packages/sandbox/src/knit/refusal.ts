/** An answer that is no success. Knit publishes no envelope of errors; this one is a guess. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }

  get body(): string {
    return JSON.stringify({ success: false, error: { msg: this.message } })
  }
}
