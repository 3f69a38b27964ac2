import { isoWithOffset, jsonNumber } from '../ids.ts';
import { currentQuantityOf, unfulfilledQuantityOf } from '../model.ts';
import type { Fulfillment, Item, Level, Location, Order, OrderLine, Refund } from '../model.ts';

export type Body = Record<string, unknown>;

/** REST-shaped bodies. Key sets and value types follow the recorded samples; personal data is never generated. */
export class Payloads {
  readonly #offsetMinutes: number;
  readonly #currency: string;

  constructor(offsetMinutes: number, currency: string) {
    this.#offsetMinutes = offsetMinutes;
    this.#currency = currency;
  }

  level(level: Level): Body {
    return {
      inventory_item_id: jsonNumber(level.item.number),
      location_id: jsonNumber(level.location.number),
      available: level.item.tracked ? level.quantities.available : null,
      updated_at: this.#time(level.updatedAt),
      admin_graphql_api_id: level.id,
    };
  }

  disconnectedLevel(level: Level): Body {
    return {
      inventory_item_id: jsonNumber(level.item.number),
      location_id: jsonNumber(level.location.number),
    };
  }

  item(item: Item): Body {
    return {
      id: jsonNumber(item.number),
      sku: item.sku,
      created_at: this.#time(item.createdAt),
      updated_at: this.#time(item.updatedAt),
      requires_shipping: item.requiresShipping,
      cost: null,
      country_code_of_origin: null,
      province_code_of_origin: null,
      harmonized_system_code: null,
      tracked: item.tracked,
      country_harmonized_system_codes: [],
      admin_graphql_api_id: item.id,
    };
  }

  location(location: Location): Body {
    return {
      id: jsonNumber(location.number),
      name: location.name,
      created_at: this.#time(location.createdAt),
      legacy: location.isFulfillmentService,
      active: location.isActive,
      admin_graphql_api_id: location.id,
    };
  }

  order(order: Order): Body {
    const total = this.#total(order, (line) => line.quantity);
    const current = this.#total(order, currentQuantityOf);
    return {
      id: jsonNumber(order.number),
      admin_graphql_api_id: order.id,
      app_id: 580111,
      browser_ip: null,
      buyer_accepts_marketing: false,
      cancel_reason: order.cancelReason?.toLowerCase() ?? null,
      cancelled_at: this.#timeOrNull(order.cancelledAt),
      cart_token: null,
      checkout_id: null,
      checkout_token: null,
      client_details: null,
      closed_at: this.#timeOrNull(order.closedAt),
      confirmation_number: `S${order.orderNumber}`,
      confirmed: true,
      contact_email: null,
      created_at: this.#time(order.createdAt),
      currency: this.#currency,
      current_subtotal_price: current,
      current_subtotal_price_set: this.#moneySet(current),
      current_total_discounts: '0.00',
      current_total_duties_set: null,
      current_total_price: current,
      current_total_price_set: this.#moneySet(current),
      current_total_tax: '0.00',
      customer_locale: 'en',
      discount_codes: [],
      email: '',
      financial_status: order.financialStatus.toLowerCase(),
      fulfillment_status: fulfilmentStatusOf(order),
      location_id: order.retailLocation ? jsonNumber(order.retailLocation.number) : null,
      name: order.name,
      note: null,
      note_attributes: [],
      number: order.orderNumber - 1000,
      order_number: order.orderNumber,
      payment_gateway_names: [],
      phone: null,
      presentment_currency: this.#currency,
      processed_at: this.#time(order.createdAt),
      source_identifier: order.sourceIdentifier,
      source_name: order.sourceName,
      source_url: null,
      subtotal_price: total,
      tags: '',
      tax_lines: [],
      taxes_included: false,
      test: order.test,
      total_discounts: '0.00',
      total_line_items_price: total,
      total_outstanding: '0.00',
      total_price: total,
      total_price_set: this.#moneySet(total),
      total_tax: '0.00',
      total_weight: 0,
      updated_at: this.#time(order.updatedAt),
      user_id: null,
      discount_applications: [],
      fulfillments: order.fulfillments.map((fulfillment) => this.fulfillment(fulfillment)),
      line_items: order.lines.map((line) => this.#line(line)),
      payment_terms: null,
      refunds: order.refunds.map((refund) => this.refund(refund)),
      shipping_address: null,
      shipping_lines: [],
    };
  }

  refund(refund: Refund): Body {
    return {
      admin_graphql_api_id: refund.id,
      created_at: this.#time(refund.createdAt),
      duties: [],
      id: jsonNumber(refund.number),
      note: refund.note,
      order_adjustments: [],
      order_id: jsonNumber(refund.order.number),
      processed_at: this.#time(refund.createdAt),
      refund_line_items: refund.lines.map((row) => ({
        id: jsonNumber(row.number),
        line_item: this.#line(row.line),
        line_item_id: jsonNumber(row.line.number),
        location_id: row.location ? jsonNumber(row.location.number) : null,
        quantity: row.quantity,
        restock_type: row.restockType.toLowerCase(),
        subtotal: 0,
        subtotal_set: this.#moneySet('0.00'),
        total_tax: 0,
        total_tax_set: this.#moneySet('0.00'),
      })),
      restock: refund.lines.some((row) => row.restockType !== 'NO_RESTOCK'),
      total_duties_set: this.#moneySet('0.00'),
      additional_fees: [],
      refund_shipping_lines: [],
      return: null,
      transactions: [],
      user_id: null,
    };
  }

  fulfillment(fulfillment: Fulfillment): Body {
    return {
      id: jsonNumber(fulfillment.number),
      admin_graphql_api_id: fulfillment.id,
      created_at: this.#time(fulfillment.createdAt),
      location_id: jsonNumber(fulfillment.location.number),
      name: `${fulfillment.order.name}.1`,
      order_id: jsonNumber(fulfillment.order.number),
      receipt: {},
      service: 'manual',
      shipment_status: null,
      status: 'success',
      tracking_company: null,
      tracking_number: null,
      tracking_numbers: [],
      tracking_url: null,
      tracking_urls: [],
      updated_at: this.#time(fulfillment.createdAt),
      line_items: fulfillment.lines.map((row) => ({ ...this.#line(row.line), quantity: row.quantity })),
    };
  }

  /** `orders/edited` names the edit, not the order's new content. */
  orderEdit(order: Order): Body {
    return {
      order_edit: {
        id: jsonNumber(order.number),
        app_id: null,
        created_at: this.#time(order.updatedAt),
        notify_customer: false,
        order_id: jsonNumber(order.number),
        staff_note: '',
        user_id: null,
        line_items: { additions: [], removals: [] },
        discounts: { line_item: { additions: [], removals: [] } },
        shipping_lines: { additions: [], removals: [] },
      },
    };
  }

  #line(line: OrderLine): Body {
    const amount = this.#moneySet(line.price);
    return {
      id: jsonNumber(line.number),
      admin_graphql_api_id: line.id,
      attributed_staffs: [],
      current_quantity: currentQuantityOf(line),
      fulfillable_quantity: unfulfilledQuantityOf(line),
      fulfillment_service: 'manual',
      fulfillment_status:
        line.fulfilled === 0 ? null : unfulfilledQuantityOf(line) === 0 ? 'fulfilled' : 'partial',
      gift_card: false,
      grams: 0,
      name: line.title,
      price: line.price,
      price_set: amount,
      product_exists: line.item !== null,
      product_id: line.item ? jsonNumber(line.item.variant.product.number) : null,
      properties: [],
      quantity: line.quantity,
      requires_shipping: line.item?.requiresShipping ?? true,
      sales_line_item_group_id: null,
      sku: line.sku,
      taxable: false,
      title: line.title,
      total_discount: '0.00',
      total_discount_set: this.#moneySet('0.00'),
      variant_id: line.item ? jsonNumber(line.item.variant.number) : null,
      variant_inventory_management: line.item?.tracked ? 'shopify' : null,
      variant_title: null,
      vendor: 'Sandbox vendor',
      tax_lines: [],
      duties: [],
      discount_allocations: [],
    };
  }

  #total(order: Order, quantityOf: (line: OrderLine) => number): string {
    return order.lines.reduce((sum, line) => sum + Number(line.price) * quantityOf(line), 0).toFixed(2);
  }

  #moneySet(amount: string): Body {
    const money = { amount, currency_code: this.#currency };
    return { shop_money: money, presentment_money: money };
  }

  #time(ms: number): string {
    return isoWithOffset(ms, this.#offsetMinutes);
  }

  #timeOrNull(ms: number | null): string | null {
    return ms === null ? null : this.#time(ms);
  }
}

function fulfilmentStatusOf(order: Order): string | null {
  if (order.lines.every((line) => line.fulfilled === 0)) return null;
  return order.lines.every((line) => unfulfilledQuantityOf(line) === 0) ? 'fulfilled' : 'partial';
}
