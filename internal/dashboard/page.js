(() => {
  const main = document.querySelector('main'), stale = document.getElementById('stale');
  const refresh = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch('/?fragment&lang=' + document.documentElement.lang, {cache: 'no-store', signal: AbortSignal.timeout(8000)});
      if (!answer.ok) throw new Error(answer.status);
      const text = await answer.text();
      if (text !== main.innerHTML) main.innerHTML = text;
      stale.hidden = true;
    } catch { stale.hidden = false; }
  };
  setInterval(refresh, 5000);
  document.addEventListener('visibilitychange', refresh);
})();
