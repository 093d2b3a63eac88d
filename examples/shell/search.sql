-- The texts are the help pages of a shop. search.sh loads the extensions and sets :url and :query.
INSERT INTO temp.rembed_clients(name, format, model, url)
VALUES ('local', 'ollama', 'nomic-embed-text', :url);

CREATE TABLE pages(id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO pages(body) VALUES
  ('Follow a parcel with the tracking link in our e-mail; it works as soon as the parcel leaves the warehouse.'),
  ('Return an item within 30 days and we refund the full price to the card you paid with.'),
  ('Forgot your password? The sign-in page has a link to set a new one.'),
  ('We deliver to all of Europe in three to five working days.'),
  ('Invoices are PDF files; download them from your order history.'),
  ('Gift cards are valid for two years and cannot be paid out in cash.'),
  ('Change the delivery address until the parcel has left the warehouse.'),
  ('Delete your account under Settings; what the tax office wants is kept for ten years.');

CREATE VIRTUAL TABLE vec_pages USING vec0(embedding float[768] distance_metric=cosine);
INSERT INTO vec_pages(rowid, embedding) SELECT id, rembed('local', body) FROM pages;

SELECT printf('%.3f', 1 - distance), body
FROM vec_pages JOIN pages ON pages.id = vec_pages.rowid
WHERE embedding MATCH rembed('local', :query) AND k = 3
ORDER BY distance;
