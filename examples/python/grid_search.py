"""Search scikit-learn's grids on the whole pool: `pip install scikit-learn`, here and where it runs."""

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

import rpn.joblib  # noqa: F401 - makes the backend known

data, target = load_digits(n_class=4, return_X_y=True)
search = GridSearchCV(SVC(), {"C": [0.1, 1, 10], "gamma": [0.0001, 0.001]}, cv=3, n_jobs=-1)

with joblib.parallel_config(backend="rpn", server="http://127.0.0.1:3000"):
    search.fit(data, target)
print(f"best: {search.best_params_}, right {search.best_score_:.1%} of the time")
