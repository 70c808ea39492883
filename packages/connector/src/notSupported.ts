/** Says that a connector lacks an ability, and why; stands where the ability's export would be. */
export interface NotSupported {
  readonly supported: false
  readonly reason: string
}

/** Marks an ability as absent. The reason is shown to whoever asks for it. */
export const notSupported = (reason: string): NotSupported => ({ supported: false, reason })
