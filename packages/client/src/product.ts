/** The slug of the product, in the names of Web Locks and of the channel between tabs. The server never sees it. */
export const PRODUCT = 'drawbridge';
