/** In which order does this person want the models? Kept in the browser; nothing until it was chosen. */
import { ORDERS, type Order } from './sections';

const KEY = 'claracore.order';

class ChosenOrder {
  value: Order | null = $state(read());

  choose(order: Order): void {
    localStorage.setItem(KEY, order);
    this.value = order;
  }
}

function read(): Order | null {
  const kept = localStorage.getItem(KEY) ?? '';
  return Object.hasOwn(ORDERS, kept) ? (kept as Order) : null;
}

export const chosenOrder = new ChosenOrder();
