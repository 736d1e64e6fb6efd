<?php
// A small application with PHP's own sessions: PHP writes the session's id into the links and forms of its pages.
if (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) === '/check') {
    header('Content-Type: text/plain');
    echo "ok\n";
    return true;
}
session_start();
$_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
?>
<!DOCTYPE html>
<html><head><title>Shop</title></head><body>
<p id="facts">server=<?= getenv('SHOP') ?> session=<?= session_id() ?> count=<?= $_SESSION['count'] ?></p>
<ul><li><a href="/cart?page=2&amp;sort=price">cart</a>
<li><a href="/help">help</a></ul>
<form action="/search" method="post"><input name="q"></form>
</body></html>
