/**
 * The `updated_after` parameter for "everything since `ms`". Kombo does not say whether the comparison includes the instant itself,
 * so it is moved back by one millisecond: a row that changed in the very millisecond in which the last fetch began is delivered again
 * rather than missed.
 */
export function updatedAfterParam(ms: number): string {
  return new Date(ms - 1).toISOString()
}

export interface CursorLimits {
  /** Pages of one listing. At 250 rows a page the default admits ten million rows. */
  readonly pagesMax: number
  /** Pages without a row in a row that still name a next page. */
  readonly emptyPagesMax: number
}

export const CURSOR_LIMITS: CursorLimits = { pagesMax: 40_000, emptyPagesMax: 100 }
