/** A queue whose head is taken in constant time, so that a mass deletion does not shift a huge array per row. */
export class Fifo<T> {
  #items: T[] = []
  #head = 0

  push(item: T): void {
    this.#items.push(item)
  }

  *takeWhile(accept: (item: T) => boolean): Generator<T> {
    while (this.#head < this.#items.length && accept(this.#items[this.#head] as T)) yield this.#items[this.#head++] as T
    if (this.#head === 0) return
    this.#items = this.#items.slice(this.#head)
    this.#head = 0
  }
}
