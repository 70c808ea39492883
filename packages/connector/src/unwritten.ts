import { TidemarkError } from '@tidemark/base'

/** Stands where a new connector has nothing yet; `what` is shown by the contract suite's list. Throws. */
export function unwritten(what: string): never {
  throw new TidemarkError('INTERNAL', `This connector is not finished. Write ${what}.`)
}
