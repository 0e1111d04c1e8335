/** The texts in the HTML of a mail, as a person reads them: in their order, one line for each element. */
export function textsOfHtml(html: string): string {
  return html
    .replace(/<style>[^]*?<\/style>/g, '')
    .replaceAll('<br>', '\n')
    .replace(/<[^>]*>/g, '\n')
    .replace(/\n\s*/g, '\n')
    .trim()
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}

/** The addresses that the HTML of a mail names: links, images, styles, forms. */
export function addressesInHtml(html: string): string[] {
  const attributes = html.matchAll(
    /\s(?:href|src|srcset|background|action|poster|cite|data)\s*=\s*"([^"]*)"/gi,
  );
  const styles = html.matchAll(/(?:url\(|@import)\s*['"]?([^'")]*)/gi);
  return [...attributes, ...styles].map(([, address]) => address!);
}
